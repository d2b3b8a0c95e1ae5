"""Records no telemetry topic should hold: a seeded assortment, each with the reason it has to be refused for.

`found_by` says who can see the fault. `decoder`: the detection job's JSON decoder drops the record whole, a gap in the
offsets. `checks`: it decodes to a row that the job's checks refuse. `codec`: the fault lies where the job does not
look (fields it does not read, bytes after the end, numbers in quotes), so that only ingestion and tools refuse it.
"""

import json
from collections.abc import Callable, Iterator
from itertools import chain, count, islice
from random import Random
from typing import Any, Literal, NamedTuple

from schemas.dead_letter import RejectReason as Reason

FoundBy = Literal["decoder", "checks", "codec"]
Event = dict[str, Any]

MEASURED = ("latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "cost")
"""The numbers of `data` that the detection job reads."""
UNREAD_NUMBERS = ("cached_tokens", "reasoning_tokens", "prompt_length", "parameters.max_tokens", "parameters.top_p")
LABELS = (
    "event_id",
    "application_id",
    "tenant_id",
    "trace_id",
    "source.service",
    "data.provider",
    "data.model",
    "data.error_type",
    "data.finish_reason",
    "data.guardrail.verdict",
    "metadata.user_id",
)
"""The short texts that the detection job reads."""
REQUIRED = ("event_id", "timestamp", "source", "source.service", "source.host", "event_type", "application_id", "data")


class BadRecord(NamedTuple):
    """One record, what is wrong with it, and the reason it is refused for."""

    name: str
    value: bytes
    reason: Reason
    found_by: FoundBy


class Fault(NamedTuple):
    """A kind of damage, done to an otherwise good event."""

    name: str
    reason: Reason
    found_by: FoundBy
    damage: Callable[[Event, Random], bytes]


def good_event(number: int, random: Random) -> Event:
    """Return an event that is accepted everywhere."""
    return {
        "event_id": f"event-{number:06d}",
        "timestamp": f"2026-11-24T{random.randrange(24):02d}:30:17.{random.randrange(1000):03d}Z",
        "schema_version": "1.0",
        "source": {"service": "checkout-assistant", "host": f"pod-{random.randrange(64):02x}", "version": "2.4.1"},
        "event_type": "llm.response",
        "application_id": random.choice(["checkout", "search", "support"]),
        "tenant_id": random.choice(["acme", "globex"]),
        "trace_id": f"{random.getrandbits(128):032x}",
        "data": {
            "provider": "openai",
            "model": random.choice(["gpt-4o", "gpt-4o-mini"]),
            "status": "success",
            "latency_ms": round(random.lognormvariate(6.5, 0.5), 3),
            "ttft_ms": round(random.lognormvariate(5.0, 0.4), 3),
            "prompt_tokens": random.randrange(20, 4000),
            "completion_tokens": random.randrange(1, 900),
            "cost": round(random.random() / 100, 6),
            "finish_reason": "stop",
            "guardrail": {"verdict": "allow", "score": 0.01},
            "parameters": {"temperature": 0.2, "max_tokens": 1024},
        },
        "metadata": {"user_id": f"user-{random.randrange(500)}", "attributes": {"region": "eu"}},
    }


def bad_records(total: int = 1_000, seed: int = 1) -> list[BadRecord]:
    """Return `total` bad records, every kind of fault before any a second time; the same for the same seed."""
    random = Random(seed)
    # The two records of 5 MB come once: more of them would only take memory.
    rounds = (fault for turn in count() for fault in FAULTS if not (turn and fault.name.endswith("5 MB")))
    return [
        BadRecord(fault.name, fault.damage(good_event(number, random), random), fault.reason, fault.found_by)
        for number, fault in enumerate(islice(rounds, total))
    ]


def with_field(event: Event, path: str, value: object) -> bytes:
    """Return an event as JSON with one field set, and the objects around it."""
    *parents, last = path.split(".")
    place = event
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return _json(event)


def without_field(event: Event, path: str) -> bytes:
    """Return an event as JSON with one field taken out."""
    *parents, last = path.split(".")
    place = event
    for parent in parents:
        place = place[parent]
    del place[last]
    return _json(event)


def _json(event: object) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _token(path: str, token: bytes) -> Callable[[Event, Random], bytes]:
    """Return a damage that writes bytes where a field's value should be, as they are."""
    return lambda event, _: with_field(event, path, "@@").replace(b'"@@"', token)


def _field(path: str, value: object) -> Callable[[Event, Random], bytes]:
    return lambda event, _: with_field(event, path, value)


def _missing(path: str) -> Callable[[Event, Random], bytes]:
    return lambda event, _: without_field(event, path)


def _around(before: bytes, after: bytes) -> Callable[[Event, Random], bytes]:
    return lambda event, _: before + _json(event) + after


def _bytes(value: bytes) -> Callable[[Event, Random], bytes]:
    return lambda _event, _random: value


def _truncated(event: Event, random: Random) -> bytes:
    whole = _json(event)
    return whole[: random.randrange(1, len(whole))]


def _padded(size: int) -> Callable[[Event, Random], bytes]:
    return lambda event, _: with_field(event, "data.prompt", "x" * size)


def _metric_without_name(event: Event, _: Random) -> bytes:
    return with_field(event | {"event_type": "llm.metric"}, "data.value", 1.0)


def _faults() -> Iterator[Fault]:
    return chain(_not_json(), _not_utf8(), _shapes(), _missing_fields(), _wrong_types(), _out_of_range())


def _not_json() -> Iterator[Fault]:
    for name, damage in {
        "words": _bytes(b"the quick brown fox"),
        "white space": _bytes(b"   \n"),
        "csv": _bytes(b"event-1,2026-11-24T00:00:00Z,checkout,12.5"),
        "xml": _bytes(b"<event><id>1</id></event>"),
        "log line": _bytes(b"2026-11-24 09:30:00,123 ERROR upstream timed out"),
        "single quotes": _bytes(b"{'event_id':'a','data':{}}"),
        "names without quotes": _bytes(b'{event_id:"a",data:{}}'),
        "truncated": _truncated,
        "twice opened": _around(b"{", b"}"),
        "opened by a comma": _around(b",", b""),
        "two byte order marks": _around(b"\xef\xbb\xbf\xef\xbb\xbf", b""),
        "null bytes before": _around(b"\x00\x00", b""),
        "null bytes only": _bytes(b"\x00" * 64),
        "NaN": _token("data.latency_ms", b"NaN"),
        "Infinity": _token("data.cost", b"Infinity"),
        "minus Infinity": _token("data.ttft_ms", b"-Infinity"),
        "leading zero": _token("data.prompt_tokens", b"012"),
        "number with a plus": _token("data.cost", b"+1"),
        "number without a digit before the point": _token("data.cost", b".5"),
        "number without a digit after the point": _token("data.latency_ms", b"5."),
        "hexadecimal": _token("data.prompt_tokens", b"0x1F"),
        "Python's True": _token("data.stream", b"True"),
        "missing value": _token("data.model", b""),
        "unknown escape": _token("event_id", rb'"a\qb"'),
        "short escape": _token("event_id", rb'"\u12"'),
        "comma after the last field": lambda event, _: _json(event)[:-1] + b",}",
    }.items():
        yield Fault(name, Reason.NOT_JSON, "decoder", damage)
    for name, damage in {
        "a second value": lambda event, _: _json(event) + _json(event),
        "closed twice": _around(b"", b"}"),
        "null bytes after": _around(b"", b"\x00\x00"),
        "high surrogate alone": _token("data.model", rb'"\ud83d"'),
        "low surrogate alone": _token("data.model", rb'"\ude00x"'),
        "raw line break in a text": _token("data.prompt", b'"first\nsecond"'),
    }.items():
        yield Fault(name, Reason.NOT_JSON, "codec", damage)


def _not_utf8() -> Iterator[Fault]:
    yield Fault("byte FF", Reason.NOT_UTF8, "decoder", _token("data.model", b'"gpt-\xff"'))
    yield Fault("Latin-1", Reason.NOT_UTF8, "decoder", _token("application_id", '"café"'.encode("latin-1")))
    yield Fault("broken character", Reason.NOT_UTF8, "decoder", _token("event_id", b'"\xe2\x82"'))
    yield Fault("random bytes", Reason.NOT_UTF8, "decoder", lambda _, random: b"\xfe" + random.randbytes(80))
    yield Fault("UTF-16", Reason.NOT_UTF8, "codec", lambda event, _: json.dumps(event).encode("utf-16"))
    yield Fault("surrogates as bytes", Reason.NOT_UTF8, "codec", _token("data.model", b'"\xed\xa0\xbd"'))


def _shapes() -> Iterator[Fault]:
    yield Fault("no bytes", Reason.EMPTY, "decoder", _bytes(b""))
    yield Fault("valid, 5 MB", Reason.TOO_LARGE, "codec", _padded(5_000_000))
    yield Fault("noise, 5 MB", Reason.TOO_LARGE, "decoder", lambda _, random: b"\xfe" + random.randbytes(5_000_000))
    yield Fault("array of 100 levels", Reason.TOO_DEEP, "decoder", _bytes(b"[" * 100 + b"]" * 100))
    yield Fault("opened 100,000 times", Reason.TOO_DEEP, "decoder", _bytes(b"[" * 100_000))
    yield Fault("attributes of 5,000 levels", Reason.TOO_DEEP, "decoder", _deep_attributes(5_000))
    yield Fault("attributes of 100 levels", Reason.TOO_DEEP, "codec", _deep_attributes(100))
    # Flink's decoder takes an array for several rows.
    yield Fault("array of an event", Reason.NOT_AN_OBJECT, "codec", _around(b"[", b"]"))
    yield Fault("array of another record", Reason.NOT_AN_OBJECT, "checks", _bytes(b'[{"event_id":"a"}]'))
    for text in (b"[]", b"[1,2]", b'"text"', b"12", b"-0.5", b"true", b"null"):
        yield Fault(f"top level {text.decode()}", Reason.NOT_AN_OBJECT, "decoder", _bytes(text))


def _deep_attributes(levels: int) -> Callable[[Event, Random], bytes]:
    return _token("metadata.attributes", b'{"a":' + b"[" * levels + b"]" * levels + b"}")


def _missing_fields() -> Iterator[Fault]:
    for path in REQUIRED:
        yield Fault(f"without {path}", Reason.MISSING_FIELD, "checks", _missing(path))
        yield Fault(f"{path} null", Reason.MISSING_FIELD, "checks", _field(path, None))
    yield Fault("empty object", Reason.MISSING_FIELD, "checks", _bytes(b"{}"))
    yield Fault("another record", Reason.MISSING_FIELD, "checks", _bytes(b'{"level":"info","msg":"started"}'))
    yield Fault("metric without a name", Reason.MISSING_FIELD, "checks", _metric_without_name)


def _wrong_types() -> Iterator[Fault]:
    value: object
    for name in MEASURED:
        for value in ("fast", True, [1], {"value": 1}):
            yield Fault(f"{name} {value}", Reason.WRONG_TYPE, "checks", _field(f"data.{name}", value))
        yield Fault(f"{name} in quotes", Reason.WRONG_TYPE, "codec", _field(f"data.{name}", "12"))
    for path in UNREAD_NUMBERS:
        yield Fault(f"{path} a text", Reason.WRONG_TYPE, "codec", _field(f"data.{path}", "many"))
    for name in ("prompt_tokens", "completion_tokens"):
        yield Fault(f"half a token in {name}", Reason.WRONG_TYPE, "checks", _field(f"data.{name}", 12.5))
    for path in LABELS:
        for value in (17, False, ["a"], {"a": "b"}):
            yield Fault(f"{path} {value}", Reason.WRONG_TYPE, "codec", _field(path, value))
    for path, value in (("source", "me"), ("source", []), ("data", []), ("data", "x"), ("data", 5)):
        yield Fault(f"{path} {value!r}", Reason.WRONG_TYPE, "checks", _field(path, value))
    for path, value in (("metadata", "x"), ("metadata.tags", {"a": 1}), ("data.dimensions", [1]), ("data.stream", 1)):
        yield Fault(f"{path} {value!r}", Reason.WRONG_TYPE, "codec", _field(path, value))
    for path, value in (("event_type", "llm.answer"), ("event_type", ""), ("event_type", 3), ("data.status", "ok")):
        yield Fault(f"{path} {value!r}", Reason.WRONG_TYPE, "checks", _field(path, value))
    yield Fault("timestamp a number", Reason.WRONG_TYPE, "checks", _field("timestamp", 1_790_000_000_000))


def _out_of_range() -> Iterator[Fault]:
    for name in MEASURED:
        yield Fault(f"{name} negative", Reason.OUT_OF_RANGE, "checks", _field(f"data.{name}", -1))
        yield Fault(f"{name} beyond belief", Reason.OUT_OF_RANGE, "checks", _field(f"data.{name}", 10**15))
        yield Fault(f"{name} of 400 digits", Reason.OUT_OF_RANGE, "checks", _token(f"data.{name}", b"9" * 400))
    for name in ("latency_ms", "cost"):
        yield Fault(f"{name} 1e999", Reason.OUT_OF_RANGE, "checks", _token(f"data.{name}", b"1e999"))
    yield Fault("cached_tokens negative", Reason.OUT_OF_RANGE, "codec", _field("data.cached_tokens", -1))
    for path in LABELS:
        yield Fault(f"{path} of 257 characters", Reason.OUT_OF_RANGE, "checks", _field(path, "x" * 257))
        yield Fault(f"{path} with U+001F", Reason.OUT_OF_RANGE, "checks", _field(path, "a\x1fb"))
        yield Fault(f"{path} with a line break", Reason.OUT_OF_RANGE, "checks", _field(path, "a\nb"))
    for path in ("event_id", "application_id", "source.service"):
        yield Fault(f"{path} empty", Reason.OUT_OF_RANGE, "checks", _field(path, ""))
    yield Fault("session_id too long", Reason.OUT_OF_RANGE, "codec", _field("metadata.session_id", "x" * 300))
    for text in (
        "yesterday",
        "",
        "2026-11-24",
        "2026-11-24T09:30:00",
        "2026-13-24T09:30:00Z",
        "2026-02-30T09:30:00Z",
        "2026-11-24T25:00:00Z",
        "2026-11-24T09:30:60Z",
        "24/11/2026 09:30",
        "1790000000000",
        "1970-01-01T00:00:00Z",
        "2226-11-24T09:30:00Z",
        "0000-00-00T00:00:00Z",
    ):
        yield Fault(f"timestamp {text!r}", Reason.OUT_OF_RANGE, "checks", _field("timestamp", text))


FAULTS: tuple[Fault, ...] = tuple(_faults())
