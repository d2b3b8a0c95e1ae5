"""Records no Avro telemetry topic should hold: a seeded assortment, each with the reason it has to be refused for."""

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from random import Random
from typing import Any, NamedTuple

import fastavro

from schemas.avro_schema import avro_schema
from schemas.dead_letter import RejectReason as Reason
from schemas.telemetry import TelemetryEvent
from schemas.time import to_at_ms
from tests.bad_records import good_event

SCHEMA = fastavro.parse_schema(avro_schema(TelemetryEvent))
Event = dict[str, Any]


class BadAvroRecord(NamedTuple):
    """One record, what is wrong with it, and the reason it is refused for."""

    name: str
    value: bytes
    reason: Reason


def good_loose(number: int, random: Random) -> Event:
    """Return a good event as what an Avro library of a producer takes."""
    event = good_event(number, random)
    attributes = json.dumps(event["metadata"]["attributes"])
    return event | {
        "timestamp": to_at_ms(event["timestamp"]),
        "metadata": event["metadata"] | {"attributes": attributes},
    }


def written(loose: Event) -> bytes:
    """Return what another library makes of an event by the published schema."""
    target = BytesIO()
    fastavro.schemaless_writer(target, SCHEMA, loose)
    return target.getvalue()


def bad_avro_records(total: int = 400, seed: int = 1) -> list[BadAvroRecord]:
    """Return `total` bad records; the same for the same seed."""
    return list(islice(_endless(Random(seed)), total))


def number_bytes(value: int) -> bytes:
    """Return a whole number as Avro has it: zigzag, seven bits a byte."""
    zigzag = value << 1 if value >= 0 else (-value << 1) - 1
    found = bytearray()
    while zigzag > 0x7F:
        found.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*found, zigzag])


def _endless(random: Random) -> Iterator[BadAvroRecord]:
    yield BadAvroRecord("valid, 2 MB", written(_with(good_loose(0, random), "data.prompt", "x" * 2_000_000)), _LARGE)
    yield BadAvroRecord("noise, 5 MB", random.randbytes(5_000_000), _LARGE)
    number = 0
    while True:
        for name, reason, damage in (*_BYTES, *_VALUES):
            number += 1
            yield BadAvroRecord(name, damage(good_loose(number, random), random), reason)


def _with(event: Event, path: str, value: object) -> Event:
    *parents, last = path.split(".")
    place = event
    for parent in parents:
        place = place[parent]
    place[last] = value
    return event


def _field(path: str, value: object) -> Callable[[Event, Random], bytes]:
    return lambda event, _: written(_with(event, path, value))


def _truncated(event: Event, random: Random) -> bytes:
    whole = written(event)
    return whole[: random.randrange(1, len(whole))]


def _around(before: bytes, after: bytes) -> Callable[[Event, Random], bytes]:
    return lambda event, _: before + written(event) + after


def _claiming(length: int) -> Callable[[Event, Random], bytes]:
    """Return a damage that makes a text claim more bytes than there are."""
    return lambda event, _: written(event).replace(b"\x0copenai", number_bytes(length) + b"openai", 1)


def _map_claiming(count: int) -> Callable[[Event, Random], bytes]:
    def damage(event: Event, _: Random) -> bytes:
        whole = written(_with(event, "metadata.tags", {"kept": "here"}))
        return whole.replace(b"\x02\x08kept", number_bytes(count) + b"\x08kept", 1)

    return damage


def _not_utf8(event: Event, _: Random) -> bytes:
    return written(event).replace(b"openai", b"open\xff\xfe")


def _container(event: Event, _: Random) -> bytes:
    target = BytesIO()
    fastavro.writer(target, SCHEMA, [event], sync_marker=bytes(16))
    return target.getvalue()


def _other_schema(event: Event, _: Random) -> bytes:
    reverse = {**avro_schema(TelemetryEvent), "fields": avro_schema(TelemetryEvent)["fields"][::-1]}
    target = BytesIO()
    # The named types come in another order, too, so the first mention of each has to hold its fields: they do.
    fastavro.schemaless_writer(target, fastavro.parse_schema(reverse), event)
    return target.getvalue()


_LARGE = Reason.TOO_LARGE
_BYTES: tuple[tuple[str, Reason, Callable[[Event, Random], bytes]], ...] = (
    ("no bytes", Reason.EMPTY, lambda _event, _random: b""),
    ("truncated", Reason.NOT_AVRO, _truncated),
    ("truncated again", Reason.NOT_AVRO, _truncated),
    ("random bytes", Reason.NOT_AVRO, lambda _, random: random.randbytes(random.randrange(1, 400))),
    ("more random bytes", Reason.NOT_AVRO, lambda _, random: b"\x10" + random.randbytes(300)),
    ("zeros", Reason.NOT_AVRO, lambda _event, _random: bytes(500)),
    ("ones", Reason.NOT_AVRO, lambda _event, _random: b"\xff" * 64),
    ("JSON", Reason.NOT_AVRO, lambda event, _: json.dumps(event).encode()),
    ("words", Reason.NOT_AVRO, lambda _event, _random: b"the quick brown fox"),
    ("registry's header", Reason.NOT_AVRO, _around(b"\x00\x00\x00\x00\x07", b"")),
    ("another registry's id", Reason.NOT_AVRO, lambda e, r: b"\x00" + r.randbytes(4) + written(e)),
    ("single-object header", Reason.NOT_AVRO, lambda e, r: b"\xc3\x01" + r.randbytes(8) + written(e)),
    ("container file", Reason.NOT_AVRO, _container),
    ("fields in another order", Reason.NOT_AVRO, _other_schema),
    ("a byte too many", Reason.NOT_AVRO, _around(b"", b"\x00")),
    ("twice", Reason.NOT_AVRO, lambda event, _: 2 * written(event)),
    ("text of 2 GB", Reason.NOT_AVRO, _claiming(2**31)),
    ("text of 4 EB", Reason.NOT_AVRO, _claiming(2**62 - 1)),
    ("text of all there is", Reason.NOT_AVRO, _claiming(2**63 - 1)),
    ("text of less than nothing", Reason.NOT_AVRO, _claiming(-1)),
    ("map of 4 billion", Reason.NOT_AVRO, _map_claiming(2**32)),
    ("map of minus 4 billion", Reason.NOT_AVRO, _map_claiming(-(2**32))),
    ("unknown branch", Reason.NOT_AVRO, lambda event, _: written(event).replace(b"\x02\x0copenai", b"\x04\x0copenai")),
    ("number that does not end", Reason.NOT_AVRO, lambda _event, _random: b"\x02a" + b"\x80" * 40),
    ("text that is not UTF-8", Reason.NOT_AVRO, _not_utf8),
)
_VALUES: tuple[tuple[str, Reason, Callable[[Event, Random], bytes]], ...] = (
    ("metric without a name", Reason.MISSING_FIELD, _field("event_type", "llm.metric")),
    ("unknown type", Reason.WRONG_TYPE, _field("event_type", "llm.answer")),
    ("unknown status", Reason.WRONG_TYPE, _field("data.status", "ok")),
    ("context that is no object", Reason.WRONG_TYPE, _field("data.context", "[1]")),
    ("attributes that are not JSON", Reason.WRONG_TYPE, _field("metadata.attributes", "{a}")),
    ("attributes of 100 levels", Reason.TOO_DEEP, _field("metadata.attributes", '{"a":' + "[" * 99 + "]" * 99 + "}")),
    ("of 1970", Reason.OUT_OF_RANGE, _field("timestamp", 0)),
    ("of 1999", Reason.OUT_OF_RANGE, _field("timestamp", 946_684_799_999)),
    ("of 2100", Reason.OUT_OF_RANGE, _field("timestamp", 4_102_444_800_000)),
    ("of no year there is", Reason.OUT_OF_RANGE, _field("timestamp", 2**63 - 1)),
    ("negative latency", Reason.OUT_OF_RANGE, _field("data.latency_ms", -1.0)),
    ("latency not a number", Reason.OUT_OF_RANGE, _field("data.latency_ms", float("nan"))),
    ("infinite cost", Reason.OUT_OF_RANGE, _field("data.cost", float("inf"))),
    ("cost beyond belief", Reason.OUT_OF_RANGE, _field("data.cost", 1e7)),
    ("negative tokens", Reason.OUT_OF_RANGE, _field("data.prompt_tokens", -5)),
    ("tokens beyond belief", Reason.OUT_OF_RANGE, _field("data.completion_tokens", 2**63 - 1)),
    ("empty event_id", Reason.OUT_OF_RANGE, _field("event_id", "")),
    ("empty application", Reason.OUT_OF_RANGE, _field("application_id", "")),
    ("long label", Reason.OUT_OF_RANGE, _field("tenant_id", "x" * 257)),
    ("label with a line break", Reason.OUT_OF_RANGE, _field("data.model", "a\nb")),
)
