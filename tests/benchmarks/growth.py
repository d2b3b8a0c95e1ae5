"""Prints how the cost of an event and the state of a series grow with entities, and the cost with rules.

    python -m tests.benchmarks.growth

One shard in one thread, events of the throughput benchmark at 100,000 events a second of event time, so that every
entity is as busy as one of a job of that size; rows of 600 records. Cost is processor time of all that a shard does,
storing every ten seconds and the encoding of summaries included. With more entities it is that of a whole minute, so
that windows of every length end in it, once a minute and more has warmed baselines up and made all state; with more
rules, of which windows take no note here, that of 20 s after 20 s. The last line is all of it as JSON.
"""

import json
from itertools import chain, islice
from pathlib import Path
from time import process_time
from typing import NamedTuple

from jobs.bench.surroundings import processor
from jobs.replay.bulk import Bulk, bulk_events
from schemas.codec import encode
from schemas.rule import Operator, Rule, Threshold
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.record_block import block_of
from udfs.settings import DetectionSettings

ENTITIES = (100, 1_000, 10_000, 100_000)
RULES = (0, 1, 10, 100)
USERS = 10_000
ROW = 600
RATE_PER_S = 100_000
STORE_EVERY = 10 * RATE_PER_S
"""Records between two checkpoints, ten seconds of them."""
START_AT_MS = 1_780_000_000_000


class Span(NamedTuple):
    """Seconds of event time that go before, and that are measured."""

    warm_up_s: int
    measured_s: int


WITH_WINDOWS, OF_CALLS = Span(75, 60), Span(20, 20)


def cost(span: Span, entities: int, rules: int) -> dict[str, float]:
    """Return microseconds an event, bytes of state a series and of the journal."""
    before_it, measured = span.warm_up_s * RATE_PER_S, span.measured_s * RATE_PER_S
    # As many users in all, so that entities are what grows.
    users = max(USERS * 2 // entities, 1)
    bulk = Bulk(
        events=before_it + measured, start_at_ms=START_AT_MS, entities=entities, users=users, events_per_s=RATE_PER_S
    )
    control = Control({})
    for number in range(rules):
        rule = Rule(
            rule_id=f"rule-{number}",
            on="event",
            when=Threshold(metric="latency_ms", operator=Operator.GT, value=1e8 + number),
        )
        assert control.apply(f"rule/{rule.rule_id}", encode(rule).decode()) == []
    shard = ShardDetection(DetectionSettings(), control, 0)
    taken, spent_s, held = 0, 0.0, {}
    values = (event.value for event in bulk_events(bulk))
    while row := list(islice(values, ROW)):
        began_s = process_time()
        findings = shard.on_records(block_of(row, range(taken, taken + len(row))))
        for summary in chain.from_iterable(findings.summaries):
            encode(summary)
        before, taken = taken, taken + len(row)
        if taken // STORE_EVERY > before // STORE_EVERY:
            for key, data in shard.changes():
                held[key] = len(data or b"")
        spent_s += process_time() - began_s if taken > before_it else 0.0
    return {
        "us_per_event": round(spent_s / measured * 1e6, 2),
        "state_bytes_per_entity": round(shard.stored_bytes / shard.series),
        "journal_bytes": sum(held.values()),
    }


def measure() -> dict[str, object]:
    """Return all costs."""
    found: list[dict[str, float]] = []
    print(f"{'entities':>8}  {'rules':>5}  {'us/event':>8}  {'bytes/entity':>12}  {'journal, MB':>11}", flush=True)  # noqa: T201
    growing = [(WITH_WINDOWS, each, 0) for each in ENTITIES]
    for span, entities, rules in [*growing, *((OF_CALLS, 1_000, each) for each in RULES)]:
        one = {"entities": entities, "rules": rules} | cost(span, entities, rules)
        found.append(one)
        figures = f"{one['us_per_event']:>8}  {one['state_bytes_per_entity']:>12}  {one['journal_bytes'] / 1e6:>11.1f}"
        print(f"{entities:>8}  {rules:>5}  {figures}", flush=True)  # noqa: T201
    return {"benchmark": "growth", "row": ROW, "found": found}


if __name__ == "__main__":
    print(json.dumps(measure() | {"processor": processor(Path("/proc/cpuinfo"))}))  # noqa: T201
