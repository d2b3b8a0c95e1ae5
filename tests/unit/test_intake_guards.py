"""What no record may do: move event time into the future, or make a dead letter that its topic does not take."""

from base64 import b64decode
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jobs.topics import DEAD_LETTERS
from schemas.codec import encode
from schemas.dead_letter import PAYLOAD_BYTES_MAX, RejectReason
from schemas.time import from_at_ms
from tests.calls import START_AT_MS, call, heartbeat
from tests.stored import keep
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.findings import Findings
from udfs.record_block import block_of
from udfs.settings import DetectionSettings

SETTINGS = DetectionSettings(future_max_ms=60_000)
YEAR_MS = 365 * 86_400_000


def found_in(
    records: list[tuple[int, int]],
    cuts: tuple[int, ...] = (),
    detection: DetectionSettings = SETTINGS,
    *,
    is_taken_known: bool = True,
) -> list[Findings]:
    """Return what a shard finds in records `(event time, time taken)`, its state stored and read at every cut."""
    stored: dict[str, bytes] = {}
    found = []
    edges = [0, *sorted(cuts), len(records)]
    for start, end in pairwise(edges):
        shard = ShardDetection(detection, Control({}), 0, stored.items())
        payloads = [encode(call(i, records[i][0], 0, 100.0)) for i in range(start, end)]
        taken = [records[i][1] for i in range(start, end)]
        found.append(shard.on_records(block_of(payloads, range(start, end), taken if is_taken_known else None)))
        keep(stored, shard.changes())
    return found


def refused(found: list[Findings]) -> list[int]:
    """Return the offsets of dead letters."""
    return [letter.offset for findings in found for letter in findings.dead_letters]


def late(found: list[Findings]) -> list[str]:
    """Return where late events came from."""
    return [key for findings in found for key, _ in findings.late]


def test_event_far_ahead_of_the_broker_is_refused_and_makes_nothing_late() -> None:
    now = START_AT_MS
    records = [(now, now), (now + YEAR_MS, now + 10), (now + 20, now + 20), (now + 40, now + 40)]
    found = found_in(records)
    [letter] = found[0].dead_letters
    assert (letter.offset, letter.reason) == (1, RejectReason.OUT_OF_RANGE)
    assert letter.detail == "timestamp: more than 60000 ms after the broker took the record"
    assert letter.timestamp == from_at_ms(now + 10)
    assert late(found) == []


def test_heartbeat_far_ahead_of_the_broker_is_refused() -> None:
    shard = ShardDetection(SETTINGS, Control({}), 0)
    findings = shard.on_records(block_of([heartbeat(START_AT_MS + YEAR_MS, 0)], [0], [START_AT_MS]))
    assert len(findings.dead_letters) == 1
    assert findings.watermark_ms is None


def test_clock_may_be_ahead_by_as_much_as_is_allowed() -> None:
    assert refused(found_in([(START_AT_MS + 60_000, START_AT_MS)])) == []
    assert refused(found_in([(START_AT_MS + 60_001, START_AT_MS)])) == [0]


def test_old_events_are_taken_however_much_later_they_are_produced() -> None:
    """A replay of last year's events, and one with a gap of months, move event time as they like."""
    records = [(START_AT_MS + step, START_AT_MS + YEAR_MS) for step in (0, 1_000, 100 * 86_400_000, 200 * 86_400_000)]
    assert (refused(found_in(records)), late(found_in(records))) == ([], [])


@pytest.mark.parametrize(
    ("detection", "taken", "is_taken_known"),
    [
        (replace(SETTINGS, future_max_ms=None), START_AT_MS, True),
        (SETTINGS, -1, True),
        (SETTINGS, START_AT_MS, False),
    ],
    ids=["no guard", "topic without times", "file"],
)
def test_without_a_guard_or_a_time_no_event_is_too_far_ahead(
    detection: DetectionSettings,
    taken: int,
    is_taken_known: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    found = found_in([(START_AT_MS + YEAR_MS, taken)], detection=detection, is_taken_known=is_taken_known)
    assert refused(found) == []


steps = st.lists(st.tuples(st.integers(-2_000, 200_000), st.integers(0, 3_000)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(steps, st.sets(st.integers(1, 29)))
def test_recovery_refuses_the_same_events(drawn: list[tuple[int, int]], cuts: set[int]) -> None:
    """Whatever the batches, and however often the state is read again: refused and late are a function of the log."""
    taken = START_AT_MS
    records = []
    for ahead_ms, passed_ms in drawn:
        taken += passed_ms
        records.append((taken + ahead_ms, taken))
    inside = tuple(cut for cut in cuts if cut < len(records))
    once, often = found_in(records), found_in(records, inside)
    assert refused(often) == refused(once) == [i for i, (ahead_ms, _) in enumerate(drawn) if ahead_ms > 60_000]
    assert late(often) == late(once)


@pytest.mark.parametrize("size", [5_000_000, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX + 1, 20_000_000])
def test_dead_letter_of_a_large_record_fits_into_its_topic(size: int) -> None:
    record = Random(1).randbytes(size)
    shard = ShardDetection(SETTINGS, Control({}), 0)
    [letter] = shard.on_records(block_of([record], [7], [START_AT_MS])).dead_letters
    kept = min(size, PAYLOAD_BYTES_MAX)
    assert letter.reason is RejectReason.TOO_LARGE
    assert b64decode(letter.payload_base64) == record[:kept]
    assert letter.payload_size == (size if size > kept else None)
    assert len(encode(letter)) + 1_000 < int(DEAD_LETTERS.config["max.message.bytes"])
