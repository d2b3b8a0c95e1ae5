"""Run: the demonstration from start to score, on a stack of its own."""

import time

from rich.console import Console

from jobs.bench.counters import read_total
from jobs.bench.own_stack import own_stack, start_job
from jobs.demo.player import Player
from jobs.demo.results import Results, read_results
from jobs.demo.scene import Scene
from jobs.demo.screen import Screen
from jobs.errors import SentinelError
from jobs.replay.produce import TopicWriter
from jobs.score.score import Score, score
from jobs.stack.stack import Stack
from jobs.topics import TELEMETRY

_LOOK_S = 0.2
_QUIET_S = 3.0
"""How long nothing new may come, when everything was taken, until nothing more is waited for."""
_STALLED_S = 60.0


def run_demo(scene: Scene, *, speed_up: float, console: Console) -> Score:
    """Play a scene through Kafka and the detection job, show what is found, and return how that compares to the truth.

    The stack is removed again, whatever happens. Raises SentinelError if it does not start or the job gets stuck.
    """
    console.print("Starting Kafka, Flink and the detection job.")
    with own_stack("demo-") as stack:
        job_id = start_job(stack, None)
        console.print(f"The job runs; Flink's pages are at {stack.rest_url} while this lasts.")
        writer = TopicWriter(stack.bootstrap_servers, TELEMETRY.name)
        with (
            read_results(stack.bootstrap_servers) as results,
            Player(scene, writer, speed_up) as player,
            Screen(console, scene) as screen,
        ):
            _watch(player, results, screen)
            _wait_for_the_job(stack, job_id, player, results, screen)
        console.print("Stopping.")
    return score(scene.planted, results.anomalies.values(), results.incidents)


def _watch(player: Player, results: Results, screen: Screen) -> None:
    while not player.is_finished():
        for found in results.read(_LOOK_S):
            screen.show(found)
        screen.advance(player.at_ms, player.events)


def _wait_for_the_job(stack: Stack, job_id: str, player: Player, results: Results, screen: Screen) -> None:
    """Return when the job has taken everything and has nothing more to say."""
    taken, moved_at_s = 0, time.monotonic()
    while taken < player.records or time.monotonic() - moved_at_s < _QUIET_S:
        for found in results.read(_LOOK_S):
            screen.show(found)
            moved_at_s = time.monotonic()
        screen.advance(player.at_ms, player.events)
        if taken >= player.records:
            continue
        state = stack.job_state(job_id)
        before, taken = taken, read_total(stack.flink).records
        if taken != before:
            moved_at_s = time.monotonic()
        elif time.monotonic() - moved_at_s > _STALLED_S or state != "RUNNING":
            raise SentinelError(f"The job is {state} and has taken {taken:,} of {player.records:,} records.")
