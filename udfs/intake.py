"""Intake: records of one partition become calls in columns; what cannot be accepted or is late is set aside."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from itertools import repeat

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.dead_letter import PAYLOAD_BYTES_MAX, DeadLetter, RejectReason
from schemas.refusal import DecodeError
from schemas.telemetry import EventType, Status, TelemetryEvent
from schemas.time import from_at_ms
from udfs.entity import UNKNOWN, model_key, user_key
from udfs.recent_ids import RecentIds
from udfs.telemetry_records import TelemetryFormat, prepare

DEFAULT_TENANT = "default"
_DETECTED = frozenset((EventType.RESPONSE, EventType.ERROR))
_UNKNOWN_AT_MS = -1
_TIMES = 2
"""Columns of values, the first ones, that are times."""


_TEXTS: dict[str, Callable[[TelemetryEvent], str | None]] = {
    "provider": lambda event: event.data.provider,
    "model": lambda event: event.data.model,
    "user": lambda event: event.metadata.user_id if event.metadata is not None else None,
    "error_type": lambda event: event.data.error_type,
    "finish_reason": lambda event: event.data.finish_reason,
    "guardrail": lambda event: event.data.guardrail.verdict if event.data.guardrail is not None else None,
}
EVENT_TEXT_FIELDS = tuple(_TEXTS)
"""Text fields of one call that rules may look at."""


class Calls(Struct, frozen=True):
    """Columns of calls in offset order; all of one length n."""

    events: list[TelemetryEvent]
    at_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    """float64[n, 5]: latency_ms, ttft_ms, prompt_tokens, completion_tokens, cost_usd; NaN is missing.

    A call that failed has no latency, here as in windows: how long a client waits before it gives up, or how fast a
    refusal comes, says nothing of how fast answers are."""
    error: NDArray[np.float64]
    """1.0 for a call that failed."""
    model_keys: list[str]
    user_keys: list[str]
    """Empty text where the caller is not known."""

    def texts(self, field: str) -> list[str | None]:
        """Return the column of one of `EVENT_TEXT_FIELDS`, None where it is missing."""
        return [_TEXTS[field](event) for event in self.events]


class Intake(Struct, frozen=True):
    """What one batch of records was."""

    calls: Calls
    dead_letters: list[DeadLetter]
    late: list[int]
    """Positions of records whose event time is at or behind the watermark; they are in no column."""
    newest_at_ms: int
    """Newest event time of the partition after the batch."""
    repeats: int = 0
    """Events left out because their id was there before."""


def take(
    payloads: Sequence[bytes | None],
    offsets: Sequence[int],
    *,
    topic: str,
    partition: int,
    newest_at_ms: int,
    bound_ms: int,
    telemetry_format: TelemetryFormat = "json",
    taken_at_ms: Sequence[int] | None = None,
    future_max_ms: int | None = None,
    recent: RecentIds | None = None,
) -> Intake:
    """Decode records in offset order. An event `bound_ms` or more behind the newest before it is late.

    `taken_at_ms` says of each record when the broker took it, negative where that is not known. An event that would
    move event time more than `future_max_ms` beyond that is refused; without one of the two, none is. With `recent`,
    which is changed, an event whose id was there before is left out.
    """
    events: list[TelemetryEvent] = []
    at_ms: list[int] = []
    dead_letters: list[DeadLetter] = []
    late: list[int] = []
    newest = newest_at_ms
    repeats = 0

    def refuse(position: int, error: DecodeError) -> None:
        taken = taken_at_ms[position] if taken_at_ms is not None else _UNKNOWN_AT_MS
        dead_letters.append(_dead_letter(payloads[position], error, topic, partition, offsets[position], taken))

    records, decode = prepare(payloads, telemetry_format)
    is_guarded = taken_at_ms is not None and future_max_ms is not None
    ahead_ms = future_max_ms or 0
    moments_taken = taken_at_ms if is_guarded and taken_at_ms is not None else repeat(_UNKNOWN_AT_MS, len(payloads))
    for position, (record, taken) in enumerate(zip(records, moments_taken, strict=True)):
        try:
            event, moment = decode(record)
        except DecodeError as error:
            refuse(position, error)
            continue
        if moment > newest:
            if 0 <= taken < moment - ahead_ms:
                detail = f"timestamp: more than {ahead_ms} ms after the broker took the record"
                refuse(position, DecodeError(RejectReason.OUT_OF_RANGE, detail))
                continue
            newest = moment
        elif moment <= newest - bound_ms:
            late.append(position)
            continue
        if recent is not None and recent.is_repeat(event.event_id, moment):
            repeats += 1
        elif event.event_type in _DETECTED:
            events.append(event)
            at_ms.append(moment)
    return Intake(_columns(events, at_ms), dead_letters, late, newest, repeats)


def _columns(events: list[TelemetryEvent], at_ms: list[int]) -> Calls:
    data = [event.data for event in events]
    rows = [(each.latency_ms, each.ttft_ms, each.prompt_tokens, each.completion_tokens, each.cost) for each in data]
    values = np.array(rows, dtype=np.float64).reshape(-1, 5)
    failed = np.array(
        [
            event.event_type is EventType.ERROR or each.status in (Status.ERROR, Status.TIMEOUT)
            for event, each in zip(events, data, strict=True)
        ],
        dtype=bool,
    )
    values[failed, :_TIMES] = np.nan
    return Calls(
        events=events,
        at_ms=np.array(at_ms, dtype=np.int64),
        values=values,
        error=failed.astype(np.float64),
        model_keys=[
            model_key(
                each.provider or UNKNOWN,
                each.model or UNKNOWN,
                event.tenant_id or DEFAULT_TENANT,
                event.application_id,
            )
            for event, each in zip(events, data, strict=True)
        ],
        user_keys=[
            user_key(event.tenant_id or DEFAULT_TENANT, event.application_id, event.metadata.user_id)
            if event.metadata is not None and event.metadata.user_id
            else ""
            for event in events
        ],
    )


def _dead_letter(
    payload: bytes | None, error: DecodeError, topic: str, partition: int, offset: int, taken_at_ms: int
) -> DeadLetter:
    content = payload or b""
    return DeadLetter(
        dead_letter_id=f"{topic}-{partition}-{offset}",
        reason=error.reason,
        detail=error.detail,
        topic=topic,
        partition=partition,
        offset=offset,
        payload_base64=b64encode(content[:PAYLOAD_BYTES_MAX]).decode(),
        payload_size=len(content) if len(content) > PAYLOAD_BYTES_MAX else None,
        timestamp=from_at_ms(taken_at_ms) if taken_at_ms >= 0 else None,
    )
