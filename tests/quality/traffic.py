"""LLM traffic: what the default configuration says of replayed calls, when all is well and with planted faults.

Replay and detection run in one process, through everything the job does.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from jobs.backtest.telemetry import Backtest, Correlations, backtest
from jobs.demo.scene import APPLICATIONS, Scene, default_scene
from jobs.replay.faults import FaultPlan
from jobs.replay.plan import default_plan
from jobs.replay.truth import ground_truth
from jobs.replay.world import World, default_world
from jobs.score.score import Score, score
from schemas.anomaly import Anomaly
from schemas.incident import Incident
from schemas.time import to_at_ms
from udfs.settings import DetectionSettings

START_AT_MS = to_at_ms("2026-09-21T00:00:00Z")
"""A Monday."""
PLANTED_SEEDS = tuple(range(101, 106))
CLEAN_SEEDS = (201, 202)
"""Both are other seeds than those that thresholds were chosen with (1 to 20)."""
HOUR_MS = 3_600_000
PLANTED_MS, CLEAN_MS = 3 * HOUR_MS, 12 * HOUR_MS
LEAST_CALLS_PER_MIN = 20.0
"""Below, a fault of some minutes cannot be told from chance."""
_LATE_MS = 1_000
"""How far time is behind the newest anomaly when incidents are made again."""


class Run(NamedTuple):
    """One replay that was judged."""

    seed: int
    result: Backtest
    score: Score


def clean_scene(seed: int) -> Scene:
    """Return traffic without a fault."""
    world = default_world(applications=APPLICATIONS)
    return Scene(world=world, plan=FaultPlan(), planted=(), seed=seed, start_at_ms=START_AT_MS, duration_ms=CLEAN_MS)


def steady_scene(seed: int) -> Scene:
    """Return the scene of `sentinel demo`: every kind of fault once, on the applications with the steadiest traffic."""
    return default_scene(seed=seed, start_at_ms=START_AT_MS, duration_ms=PLANTED_MS)


def scattered_scene(seed: int) -> Scene:
    """Return the same faults on applications drawn at random among those with calls enough."""
    world = default_world(applications=APPLICATIONS)
    usual = default_plan(world, seed=seed, start_at_ms=START_AT_MS, duration_ms=PLANTED_MS)
    places = _busy_enough(world)
    order = np.random.default_rng([seed, 7]).permutation(len(places)).tolist()
    faults = []
    for number, fault in enumerate(usual.faults):
        application = world.applications[places[order[number % len(order)]]]
        model = world.models[application.models[0]]
        named = {
            "tenant_id": application.tenant_id,
            "application_id": application.application_id,
            "provider": model.provider,
            "model": model.name,
        }
        scope = replace(fault.scope, **{name: named[name] for name in named if getattr(fault.scope, name)})
        faults.append(replace(fault, scope=scope))
    plan = FaultPlan(faults=tuple(faults))
    planted = ground_truth(world, plan, seed=seed, start_at_ms=START_AT_MS, duration_ms=PLANTED_MS)
    return Scene(world=world, plan=plan, planted=planted, seed=seed, start_at_ms=START_AT_MS, duration_ms=PLANTED_MS)


def _busy_enough(world: World) -> list[int]:
    return [
        place
        for place, each in enumerate(world.applications)
        if 60.0 * each.rate_per_s * each.shares[0] >= LEAST_CALLS_PER_MIN
    ]


def run_of(scene: Scene, settings: DetectionSettings | None = None) -> Run:
    """Return what is said of a scene."""
    in_force = settings or DetectionSettings(summaries="none")
    result = backtest((record.value for record in scene.records(partitions=1)), in_force)
    return Run(scene.seed, result, score(scene.planted, result.anomalies, result.incidents))


def incidents_of(anomalies: Iterable[Anomaly], settings: DetectionSettings) -> list[Incident]:
    """Return the newest states of the incidents that anomalies, in the order in which they were told, make."""
    correlations, newest_ms = Correlations(settings), 0
    for each in anomalies:
        correlations.send([each])
        newest_ms = max(newest_ms, to_at_ms(each.timestamp))
        correlations.pass_time(newest_ms - _LATE_MS)
    return list(correlations.incidents.values())
