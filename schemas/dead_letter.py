"""Dead letter: a record that could not be accepted, why, where it came from, and its bytes."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.time import Instant

PAYLOAD_BYTES_MAX: Final = 8_388_608
"""Bytes of a record that a dead letter holds; in base64 and with what is said of them, less than its topic takes."""

Offset = Annotated[int, Meta(ge=0)]
Base64 = Annotated[str, Meta(extra_json_schema={"contentEncoding": "base64"})]


class RejectReason(StrEnum):
    """Why a record was refused: a closed set, used verbatim in records, metrics and docs."""

    EMPTY = "empty"
    """No bytes (or a null value)."""
    TOO_LARGE = "too_large"
    """More bytes than a telemetry event may have (1 MiB)."""
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    """Not one JSON value (NaN and Infinity are not JSON)."""
    NOT_AVRO = "not_avro"
    TOO_DEEP = "too_deep"
    """Nested deeper than 64 levels."""
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    """A field of another type, or an enumeration with an unknown value."""
    OUT_OF_RANGE = "out_of_range"
    """A number or text outside what the schema allows: negative, not finite, too long, an impossible time."""
    UNDECODABLE = "undecodable"
    """Refused by the job's decoder for a reason the codec does not share; never expected."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One record of `sentinel.dead-letters`; `dead_letter_id` is `topic-partition-offset`, so repeats are visible."""

    dead_letter_id: str
    reason: RejectReason
    detail: str
    """One sentence naming the field and the problem, never its content."""
    topic: str
    partition: Offset
    offset: Offset
    payload_base64: Base64
    """The record's bytes, unchanged; only the first of them where `payload_size` says so."""
    payload_size: Annotated[int, Meta(ge=0)] | None = None
    """Bytes of the whole record if that is more than a dead letter can carry; they stay at their origin meanwhile."""
    key_base64: Base64 | None = None
    timestamp: Instant | None = None
    """When the broker took the record, RFC 3339 UTC, where that is known."""
    schema_version: str = "1.0"
