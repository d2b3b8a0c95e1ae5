"""Puts LLM-Sentinel beside its peers: one machine, one run, the same topics.

    python -m tests.benchmarks.peers [--peers quix,bytewax] [--events 6000000] [--runs 5] [--longest 45] [--out FILE]

docs/performance.md says what is measured. The last line printed is one JSON object, above it is the table; `--out`
writes the table to a file as well. Progress goes to stderr.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from confluent_kafka import KafkaException
from msgspec.structs import replace

from jobs.bench.append_times import stamp_on_append
from jobs.bench.own_stack import TASKMANAGERS, load_average, own_stack
from jobs.bench.surroundings import surroundings
from jobs.detection.settings import JobSettings
from jobs.errors import SentinelError
from jobs.stack.layout import PROJECT
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES
from tests.benchmarks.peers.clusters import PureSql, Sentinel
from tests.benchmarks.peers.drain import measure_drain
from tests.benchmarks.peers.live import measure_live
from tests.benchmarks.peers.peer import Peer, Task
from tests.benchmarks.peers.programs import programs
from tests.benchmarks.peers.table import Row, table
from tests.benchmarks.peers.telemetry import Backlog, create_topic, fill_backlog


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers")
    parser.add_argument("--peers", default="", help="comma between names; all without it")
    parser.add_argument("--events", type=int, default=6_000_000, help="in the backlog")
    parser.add_argument("--runs", type=int, default=5, help="drains of each peer")
    parser.add_argument("--longest", type=float, default=45.0, help="seconds of a drain after its first result")
    parser.add_argument("--no-live", action="store_true", help="leave out latency and crash")
    parser.add_argument("--out", type=Path, help="file for the table")
    options = parser.parse_args(arguments)
    load_before = load_average()
    with own_stack(prefix="peers-") as stack:
        peers = _chosen([Sentinel(stack=stack), PureSql(stack=stack), *programs()], options.peers)
        for number in range(1, TASKMANAGERS + 1):
            # Those that run jobs start their own.
            stack.kill_taskmanager(number)
        stamp_on_append(stack.bootstrap_servers, (ANOMALIES,))
        _tell(f"Producing {options.events:,} events.")
        backlog = fill_backlog(stack.bootstrap_servers, "peers-backlog", options.events)
        rows = {each.name: _row(each) for each in peers}
        # Round after round, so that what the machine does meanwhile falls on all alike.
        for run in range(options.runs):
            for peer in peers:
                rows[peer.name] = _drained(stack, peer, rows[peer.name], backlog, run, options.longest)
        for peer in peers if not options.no_live else ():
            rows[peer.name] = _lived(stack, peer, rows[peer.name])
        about = surroundings(stack.layout, JobSettings(), load_before)
    text = table(list(rows.values()))
    print(text)  # noqa: T201
    if options.out:
        options.out.write_text(text + "\n")
    result = {"benchmark": "peers", "events": options.events, "runs": options.runs, "peers": list(rows.values())}
    print(msgspec.json.encode(result | msgspec.structs.asdict(about)).decode())  # noqa: T201


def _chosen(peers: list[Peer], names: str) -> list[Peer]:
    wanted = [name for name in names.split(",") if name]
    known = {each.name: each for each in peers}
    if unknown := [name for name in wanted if name not in known]:
        raise SentinelError(f"There is no peer {unknown[0]}; there are {', '.join(known)}.")
    return [known[name] for name in wanted] or peers


def _row(peer: Peer) -> Row:
    return Row(name=peer.name, title=peer.title(), way=peer.way, judges_calls=peer.judges_calls)


def _drained(stack: Stack, peer: Peer, row: Row, backlog: Backlog, run: int, longest_s: float) -> Row:
    if row.problems:
        return row
    _tell(f"{peer.name}: drain {run + 1}")
    try:
        task = _task(stack, peer, f"{peer.name}-{run}", backlog.topic)
        drain = measure_drain(peer, backlog, task, longest_s=longest_s)
    except (SentinelError, KafkaException) as error:
        _tell(f"{peer.name}: {error}")
        return replace(row, problems=(*row.problems, str(error)))
    _tell(f"{peer.name}: {drain.events_per_s:,.0f} events/s, found {drain.found:,} of {drain.planted:,}")
    return replace(row, drains=(*row.drains, drain))


def _lived(stack: Stack, peer: Peer, row: Row) -> Row:
    if row.problems and not row.drains:
        return row
    _tell(f"{peer.name}: warming up for the live run")
    try:
        live = measure_live(peer, _task(stack, peer, f"{peer.name}-live", f"peers-live-{peer.name}"), tell=_tell)
    except (SentinelError, KafkaException) as error:
        _tell(f"{peer.name}: {error}")
        return replace(row, problems=(*row.problems, str(error)))
    _tell(f"{peer.name}: p50 {live.p50_ms:,} ms, p99 {live.p99_ms:,} ms, {live.crash}")
    return replace(row, live=live)


def _task(stack: Stack, peer: Peer, name: str, calls: str) -> Task:
    found = peer.found_topic(name)
    if found != ANOMALIES.name:
        create_topic(stack.bootstrap_servers, found)
    return Task(
        bootstrap_servers=stack.bootstrap_servers,
        calls=calls,
        found=found,
        folder=stack.layout.home / name,
        logs=PROJECT / ".sentinel" / "peers" / "logs" / name,
    )


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SentinelError as error:
        sys.exit(f"sentinel: {error}")
