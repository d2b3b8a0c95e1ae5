"""Intake: records of one partition become calls in columns; what cannot be accepted or is late is set aside."""

from base64 import b64encode
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.dead_letter import PAYLOAD_BYTES_MAX, DeadLetter, RejectReason
from schemas.refusal import DecodeError
from schemas.telemetry import EventType, Status, TelemetryEvent
from schemas.time import from_at_ms
from udfs.entity import SEPARATOR, UNKNOWN
from udfs.event_columns import STATUSES, TYPES, EventColumns, TelemetryFormat, read_columns
from udfs.kernels import Floats, Integers, kernel
from udfs.recent_ids import RecentIds
from udfs.record_block import RecordBlock
from udfs.telemetry_program import (
    APPLICATION,
    ERROR_TYPE,
    EVENT_ID,
    EVENT_TYPE,
    FINISH_REASON,
    GUARDRAIL,
    MODEL,
    PROVIDER,
    STATUS,
    TENANT,
    USER,
    Octets,
)

DEFAULT_TENANT: Final = "default"
_ERROR: Final = TYPES.index(EventType.ERROR)
_RESPONSE: Final = TYPES.index(EventType.RESPONSE)
_FAILED: Final = STATUSES.index(Status.ERROR)
_TIMED_OUT: Final = STATUSES.index(Status.TIMEOUT)
_ANY_MS: Final = 1 << 62
"""How far ahead an event may be where nothing guards against the future."""
_TIMES: Final = 2
"""Columns of values, the first ones, that are times."""
_REFUSED, _AHEAD, _LATE, _TAKEN, _REPEATED = range(5)
_DEFAULTS: Final = np.frombuffer(f"{UNKNOWN}{DEFAULT_TENANT}".encode(), dtype=np.uint8)
_TEXTS: Final = {
    "provider": PROVIDER,
    "model": MODEL,
    "user": USER,
    "error_type": ERROR_TYPE,
    "finish_reason": FINISH_REASON,
    "guardrail": GUARDRAIL,
}
EVENT_TEXT_FIELDS: Final = tuple(_TEXTS)
"""Text fields of one call that rules may look at."""


class Calls:
    """Columns of calls in offset order; all of one length n."""

    def __init__(self, columns: EventColumns, positions: Integers) -> None:
        """Take the columns of a batch and which of its records are calls."""
        codes, texts = columns.codes[positions], columns.texts[positions]
        types, statuses = codes[:, EVENT_TYPE], codes[:, STATUS]
        failed = (types == _ERROR) | (statuses == _FAILED) | (statuses == _TIMED_OUT)
        self._columns = columns
        self._positions = positions
        self.at_ms = columns.at_ms[positions]
        self.values: Floats = columns.numbers[positions]
        """float64[n, 5]: latency_ms, ttft_ms, prompt_tokens, completion_tokens, cost_usd; NaN is missing.

        A call that failed has no latency, here as in windows: how long a client waits before it gives up, or how fast
        a refusal comes, says nothing of how fast answers are."""
        self.values[failed, :_TIMES] = np.nan
        self.error = failed.astype(np.float64)
        """1.0 for a call that failed."""
        self.source: Octets = np.concatenate([columns.source, _DEFAULTS])
        """What the parts of keys lie in."""
        first = len(columns.source)
        self.model_parts: Integers = texts[:, [PROVIDER, MODEL, TENANT, APPLICATION]]
        """int64[n, 4, 2]: begin and end of the texts that make the key of the model; see `udfs.entity.model_key`."""
        is_missing = self.model_parts[:, :, 0] == self.model_parts[:, :, 1]
        self.model_parts[is_missing] = [first, first + len(UNKNOWN)]
        self.model_parts[is_missing[:, 2], 2] = [first + len(UNKNOWN), len(self.source)]
        self.has_user: NDArray[np.bool_] = texts[:, USER, 0] < texts[:, USER, 1]
        """Whether the caller is known."""
        self.user_parts: Integers = np.concatenate([self.model_parts[:, 2:], texts[:, [USER]]], axis=1)
        """int64[n, 3, 2]: the same for the key of the user; see `udfs.entity.user_key`."""

    def __len__(self) -> int:
        return len(self.at_ms)

    def event(self, i: int) -> TelemetryEvent:
        """Return a call as the event it was reported by; it is decoded for that."""
        return self._columns.event(int(self._positions[i]))

    def user_keys(self) -> list[str]:
        """Return the keys of the users, empty where the caller is not known."""
        parts = zip(self.user_parts.tolist(), self.has_user.tolist(), strict=True)
        return [
            SEPARATOR.join([self.source[start:end].tobytes().decode() for start, end in three]) if has_user else ""
            for three, has_user in parts
        ]

    def texts(self, field: str) -> list[str | None]:
        """Return the column of one of `EVENT_TEXT_FIELDS`, None where it is missing."""
        return [self._columns.text(position, _TEXTS[field]) for position in self._positions.tolist()]


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
    records: RecordBlock,
    *,
    topic: str,
    partition: int,
    newest_at_ms: int,
    bound_ms: int,
    telemetry_format: TelemetryFormat = "json",
    future_max_ms: int | None = None,
    recent: RecentIds | None = None,
) -> Intake:
    """Decode records in offset order. An event `bound_ms` or more behind the newest before it is late.

    An event that would move event time more than `future_max_ms` beyond the time at which the broker took its record is
    refused; without one of the two, none is. With `recent`, which is changed, an event whose id was there before is
    left out.
    """
    columns = read_columns(records, telemetry_format)
    ahead_ms = _ANY_MS if future_max_ms is None else future_max_ms
    verdicts = np.empty(len(records), dtype=np.int64)
    newest = _judge(columns.at_ms, records.taken_at_ms, newest_at_ms, bound_ms, ahead_ms, verdicts)

    def refuse(position: int) -> DeadLetter:
        error = columns.refused.get(position)
        if error is None:
            detail = f"timestamp: more than {future_max_ms} ms after the broker took the record"
            error = DecodeError(RejectReason.OUT_OF_RANGE, detail)
        moment, offset = int(records.taken_at_ms[position]), int(records.offsets[position])
        return _dead_letter(records.payload(position), error, topic, partition, offset, moment)

    repeats = 0
    if recent is not None:
        repeats = _leave_out_repeats(columns, recent, verdicts)
    types = columns.codes[:, EVENT_TYPE]
    is_call = (verdicts == _TAKEN) & ((types == _RESPONSE) | (types == _ERROR))
    return Intake(
        calls=Calls(columns, np.flatnonzero(is_call)),
        dead_letters=[refuse(position) for position in np.flatnonzero(verdicts <= _AHEAD).tolist()],
        late=np.flatnonzero(verdicts == _LATE).tolist(),
        newest_at_ms=newest,
        repeats=repeats,
    )


@kernel
def _judge(
    at_ms: Integers, taken_at_ms: Integers, newest_at_ms: int, bound_ms: int, ahead_ms: int, verdicts: Integers
) -> int:
    """Write what becomes of each record to `verdicts`, in order; return the newest event time after them."""
    for number in range(at_ms.shape[0]):
        moment, taken = at_ms[number], taken_at_ms[number]
        if moment < 0:
            verdicts[number] = _REFUSED
        elif moment > newest_at_ms:
            if 0 <= taken < moment - ahead_ms:
                verdicts[number] = _AHEAD
            else:
                newest_at_ms = moment
                verdicts[number] = _TAKEN
        else:
            verdicts[number] = _LATE if moment <= newest_at_ms - bound_ms else _TAKEN
    return newest_at_ms


def _leave_out_repeats(columns: EventColumns, recent: RecentIds, verdicts: Integers) -> int:
    """Return how many taken events are repeats, which are taken no more."""
    repeats = 0
    for position in np.flatnonzero(verdicts == _TAKEN).tolist():
        if recent.is_repeat(columns.text(position, EVENT_ID) or "", int(columns.at_ms[position])):
            verdicts[position] = _REPEATED
            repeats += 1
    return repeats


def _dead_letter(
    content: bytes, error: DecodeError, topic: str, partition: int, offset: int, taken_at_ms: int
) -> DeadLetter:
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
