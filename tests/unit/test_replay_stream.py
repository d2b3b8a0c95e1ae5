"""What is sent: heartbeats never promise too much, disorder stays within its bound, records leave when they are due."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.replay.pace import paced
from jobs.replay.stream import Record, disordered, heartbeat, keyed, repeated, with_heartbeats
from schemas.codec import decode_event, encode
from schemas.telemetry import HEARTBEAT_METRIC, Data, EventType, Source, TelemetryEvent
from schemas.time import from_at_ms, to_at_ms

START_AT_MS = 1_764_000_000_500
TIMES = st.lists(st.integers(0, 5_000), max_size=40).map(lambda offsets: [START_AT_MS + o for o in sorted(offsets)])

BOUNDS = st.sampled_from([0, 1, 300, 2_500])


def _event(at_ms: int, number: int = 0) -> TelemetryEvent:
    return TelemetryEvent(
        event_id=f"e{number}",
        timestamp=from_at_ms(at_ms),
        source=Source(service="shop", host="shop-0"),
        event_type=EventType.RESPONSE,
        application_id="shop",
        data=Data(),
        tenant_id="acme",
    )


def _records(times: list[int]) -> list[Record]:
    return list(keyed(((at_ms, _event(at_ms, i)) for i, at_ms in enumerate(times)), encode))


def _time(record: Record) -> int:
    return to_at_ms(decode_event(record.value).timestamp)


def test_key_is_tenant_and_application() -> None:
    (record,) = _records([START_AT_MS])
    assert (record.key, record.partition, _time(record)) == (b"acme|shop", None, START_AT_MS)


@given(times=TIMES, bound_ms=BOUNDS, share=st.sampled_from([0.0, 0.5]), seed=st.integers(0, 9))
def test_nothing_after_a_heartbeat_is_older_than_it(times: list[int], bound_ms: int, share: float, seed: int) -> None:
    records = disordered(repeated(_records(times), share, seed), bound_ms, seed)
    end_at_ms = START_AT_MS + 5_000 + bound_ms
    sent = list(
        with_heartbeats(
            records, partitions=3, start_at_ms=START_AT_MS, end_at_ms=end_at_ms, bound_ms=bound_ms, encode=encode
        )
    )
    for partition in range(3):
        promised = 0
        for record in sent:
            if record.partition in (None, partition):
                assert _time(record) >= promised
            if record.partition == partition:
                promised = _time(record)
        stamps = [_time(record) for record in sent if record.partition == partition]
        # Every whole second from the start to the end, whether or not anything else was sent.
        first_ms = START_AT_MS + 500
        assert stamps == list(range(first_ms - bound_ms, end_at_ms - bound_ms + 1, 1_000))


@given(times=TIMES, bound_ms=BOUNDS, seed=st.integers(0, 9))
def test_disorder_stays_within_its_bound_and_loses_nothing(times: list[int], bound_ms: int, seed: int) -> None:
    records = _records(times)
    sent = list(disordered(records, bound_ms, seed))
    assert Counter(record.value for record in sent) == Counter(record.value for record in records)
    newest = 0
    for record in sent:
        newest = max(newest, _time(record))
        assert newest - _time(record) <= bound_ms
        assert 0 <= record.due_ms - _time(record) <= bound_ms
    assert [record.due_ms for record in sent] == sorted(record.due_ms for record in sent)
    assert bound_ms > 0 or sent == records


def test_disorder_really_disorders() -> None:
    sent = [_time(record) for record in disordered(_records([START_AT_MS + 10 * i for i in range(200)]), 500, 1)]
    assert sent != sorted(sent)


def test_repeats_are_the_wanted_share_and_equal_to_the_first() -> None:
    counted = Counter(record.value for record in repeated(_records([START_AT_MS] * 2_000), 0.25, 1))
    assert len(counted) == 2_000
    # 500 of 2,000 expected; four binomial standard deviations are 77.
    assert sum(number == 2 for number in counted.values()) == pytest.approx(500, abs=77)
    assert max(counted.values()) == 2


def test_heartbeat_is_accepted_by_the_codec_and_names_the_replay() -> None:
    event = decode_event(encode(heartbeat(START_AT_MS, partition=2)))
    assert to_at_ms(event.timestamp) == START_AT_MS
    assert event.event_type is EventType.METRIC
    assert (event.data.metric_name, event.data.value) == (HEARTBEAT_METRIC, 1.0)
    assert (event.application_id, event.source.service) == ("sentinel", "replay")


class SimulatedClock:
    """A clock that moves only when somebody waits, and a little with every look at it."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def now_s(self) -> float:
        """Return the time."""
        self.s += 0.0001
        return self.s

    def wait_s(self, seconds: float) -> None:
        """Let seconds pass."""
        self.s += seconds


@pytest.mark.parametrize("speed_up", [0.5, 1.0, 60.0])
def test_records_leave_when_due_on_a_clock_of_the_wanted_speed(speed_up: float) -> None:
    clock = SimulatedClock()
    began_s = clock.s
    records = _records([START_AT_MS + offset for offset in (0, 10, 1_000, 1_000, 60_000)])
    for record in paced(records, start_at_ms=START_AT_MS, speed_up=speed_up, now_s=clock.now_s, wait_s=clock.wait_s):
        due_s = (record.due_ms - START_AT_MS) / 1000.0 / speed_up
        # Waits below a millisecond are left out, and every look at this clock takes 0.1 ms.
        assert clock.s - began_s == pytest.approx(due_s, abs=0.002)


def test_replay_catches_up_after_a_stall() -> None:
    clock = SimulatedClock()
    began_s = clock.s
    records = _records([START_AT_MS + 1_000 * i for i in range(10)])
    for number, record in enumerate(
        paced(records, start_at_ms=START_AT_MS, speed_up=1.0, now_s=clock.now_s, wait_s=clock.wait_s)
    ):
        if number == 2:
            clock.wait_s(4.0)
        due_s = (record.due_ms - START_AT_MS) / 1000.0
        assert clock.s - began_s == pytest.approx(max(due_s, 6.0 if number >= 2 else due_s), abs=0.01)
