"""Habits of applications and users: what they never did before is told, and what they take up slowly is not."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from schemas.anomaly import Anomaly, EntityType, Moved
from schemas.codec import encode
from schemas.telemetry import TelemetryEvent
from tests.calls import START_AT_MS, call
from tests.stored import keep
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.detector import Detector
from udfs.detectors.habit import KINDS, Habit, kind_of, value_of
from udfs.detectors.percentile_band import PercentileBand
from udfs.record_block import block_of
from udfs.settings import DetectionSettings

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MODELS = Habit(
    detector_id="models", on="event", entity="application", warning=40.0, warm_up_samples=200, relearn_samples=100
)


def calls(models: Iterable[str], after: int = 0) -> Iterator[TelemetryEvent]:
    """Return a call of one application each second, one for each model."""
    for number, model in enumerate(models, after):
        event = call(number, START_AT_MS + 1_000 * number, 1, 400.0)
        yield replace(event, data=replace(event.data, model=model))


def told(detector: Detector, events: Iterable[TelemetryEvent], restarts_at: int | None = None) -> list[Anomaly]:
    """Return what a detector tells of calls, its state stored and read again after so many of them."""
    settings = DetectionSettings(detectors=(detector,), summaries="none")
    shard, stored, found = ShardDetection(settings, Control({}), 0), dict[str, bytes](), []
    for number, record in enumerate(map(encode, events)):
        if number == restarts_at:
            keep(stored, shard.changes())
            shard = ShardDetection(settings, Control({}), 0, stored.items())
        found += shard.on_records(block_of([record], [number])).anomalies
    return found


USUAL = ["gpt-4o", "gpt-4o", "claude"] * 200


def test_model_that_an_application_never_called_is_told_once_by_its_name() -> None:
    (found,) = told(MODELS, calls([*USUAL, *["gpt-4o", "new-model"] * 12]))
    assert found.affected_entity.type is EntityType.APPLICATION
    assert found.title == "unusual model new-model: tenant-1 / application-1"
    assert found.moved == (Moved(dimension="model", value="new-model", share=1.0),)
    assert "model new-model now, which this application hardly ever had before" in found.explanation
    assert (found.observed, found.expected.value) == (None, None)


def test_a_few_odd_calls_are_nothing() -> None:
    assert not told(MODELS, calls([*USUAL, *["odd"] * 4, *USUAL]))


def test_what_is_taken_up_slowly_becomes_known() -> None:
    slowly = ["gpt-4o"] * 49 + ["new-model"]
    assert not told(MODELS, calls([*USUAL, *slowly * 40, *["new-model"] * 100]))


def test_a_new_model_that_stays_is_normal_afterwards() -> None:
    patient = replace(MODELS, relearn_ms=60_000)
    events = list(calls([*USUAL, *["new-model"] * 400]))
    found = told(patient, events)
    assert found
    assert max(each.timestamp for each in found) < events[len(USUAL) + 250].timestamp


def test_a_restart_changes_nothing() -> None:
    events = list(calls([*USUAL, *["gpt-4o", "new-model"] * 12]))
    expected = told(MODELS, events)
    for restarts_at in (1, len(USUAL), len(USUAL) + 5):
        assert told(MODELS, events, restarts_at) == expected


def test_hour_at_which_a_user_was_never_seen_is_told() -> None:
    hours = Habit(
        detector_id="hours", on="event", entity="user", metrics=("hour",), warning=40.0, warm_up_ms=3 * DAY_MS
    )
    midnight = START_AT_MS // DAY_MS * DAY_MS
    office = [
        midnight + day * DAY_MS + hour * HOUR_MS + i * 600_000
        for day in range(5)
        for hour in range(9, 17)
        for i in range(6)
    ]
    night = [midnight + 5 * DAY_MS + 3 * HOUR_MS + i * 60_000 for i in range(20)]
    events = [replace(call(7 * number, at_ms, 1, 400.0)) for number, at_ms in enumerate([*office, *night])]
    (found, *_) = told(hours, events)
    assert found.title == "unusual hour 03:00 UTC: tenant-1 / application-1 / user-0"
    assert not told(hours, events[: len(office)])


def test_prompts_of_another_size_than_a_user_ever_sent_are_told() -> None:
    sizes = PercentileBand(
        detector_id="sizes", on="event", entity="user", metrics=("prompt_tokens",), warning=3.0, consecutive=8
    )
    events = [call(7 * number, START_AT_MS + 10_000 * number, 1, 400.0) for number in range(220)]
    large = [replace(each, data=replace(each.data, prompt_tokens=20_000)) for each in events[200:]]
    (found, *_) = told(sizes, [*events[:200], *large])
    assert (found.affected_entity.type, found.metric, found.observed) == (EntityType.USER, "prompt_tokens", 20_000)
    assert not told(sizes, events)


def test_kinds_and_their_values_belong_together() -> None:
    assert [kind_of(value_of(kind)) for kind in range(KINDS)] == list(range(KINDS))
    assert kind_of(float("1e300")) == KINDS - 1
    assert kind_of(-5.0) == 0
