"""Events by the million for benchmarks: JSON rendered once per entity, numbers filled in, fixed by a seed.

Unlike `generate` this draws from simple laws, so that one core makes far more events than the job under test takes.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from jobs.replay.arrivals import I64
from jobs.replay.produce import TopicWriter
from jobs.replay.stream import HEARTBEAT_EVERY_MS, Record, heartbeat
from schemas.avro import encode_avro
from schemas.codec import decode_event, encode
from schemas.time import from_at_ms

ABSURD_LATENCY, ABSURD_TOKENS = 400, 100
"""What an absurd event has more than its entity's median."""

_BATCH = 4_096
_LOG_SD = 0.45
_ERROR_SHARE = 0.007
_TENANTS = 10
_MODELS = (
    ("openai", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-0"),
    ("aws.bedrock", "anthropic.claude-3-haiku"),
    ("together_ai", "llama-3.3-70b-turbo"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-haiku-4-5"),
    ("aws.bedrock", "mistral-large-3-675b"),
    ("together_ai", "llama-3.1-8b-turbo"),
)
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_UUID_PLACES = np.array([i for i in range(36) if i not in (8, 13, 18, 23)])


class Bulk(Struct, frozen=True, kw_only=True):
    """What to make; equal values make equal events."""

    events: int
    start_at_ms: int
    entities: int = 200
    """Entities of type model: two models for each application. All have the same rate."""
    events_per_s: float = 5_000.0
    """How fast event time advances: the i-th event is at start + i / events_per_s, rounded down to the millisecond."""
    seed: int = 1
    users: int = 100
    """Users of each application, equally busy."""
    absurd: int = 0
    """How many events are absurd; they are spread at random over all but the first third."""


class Planted(NamedTuple):
    """One absurd event."""

    event_id: str
    at_ms: int


class BulkEvent(NamedTuple):
    """One event, rendered."""

    at_ms: int
    key: bytes
    value: bytes


def bulk_events(bulk: Bulk) -> Iterator[BulkEvent]:
    """Yield the events in the order of time, each about 600 bytes of JSON."""
    keys, successes, failures, scales = _entities(bulk)
    generator = np.random.default_rng([bulk.seed, 0])
    absurd = np.zeros(bulk.events, dtype=np.bool_)
    absurd[_absurd_positions(bulk)] = True
    for first in range(0, bulk.events, _BATCH):
        # Whole batches are drawn, so that a shorter run is the beginning of a longer one.
        entity = generator.integers(bulk.entities, size=_BATCH)
        user = generator.integers(bulk.users, size=_BATCH).tolist()
        noise = np.exp(_LOG_SD * generator.standard_normal((4, _BATCH)))
        failing = generator.random(_BATCH) < _ERROR_SHARE
        trace = generator.integers(0, 256, (_BATCH, 24), dtype=np.uint8)
        size = min(_BATCH, bulk.events - first)
        strange = np.zeros(_BATCH, dtype=np.bool_)
        strange[:size] = absurd[first : first + size]
        noise[:, strange] = np.array([[ABSURD_LATENCY], [1], [ABSURD_TOKENS], [ABSURD_TOKENS]])
        failing &= ~strange
        latency_us, ttft_us, prompt, completion = (noise * scales[:, entity]).astype(np.int64)
        cost = (prompt * 2.5e-6 + completion * 1e-5).tolist()
        at_ms = _times(bulk, first)
        text_of = {at: from_at_ms(at) for at in dict.fromkeys(at_ms)}
        ids, traces = _event_ids(bulk.seed, first), _hex_text(trace)
        rows = zip(
            at_ms[:size],
            entity.tolist(),
            failing.tolist(),
            (latency_us * 1e-3).tolist(),
            (ttft_us * 1e-3).tolist(),
            prompt.tolist(),
            completion.tolist(),
            cost,
            user,
            range(size),
            strict=False,
        )
        for at, e, failed, latency_ms, ttft_ms, prompts, completions, usd, who, i in rows:
            event_id = ids[36 * i : 36 * i + 36]
            trace_id, span_id = traces[48 * i : 48 * i + 32], traces[48 * i + 32 : 48 * i + 48]
            if failed:
                text = failures[e] % (event_id, text_of[at], latency_ms, trace_id, span_id, who)
            else:
                told = (latency_ms, ttft_ms, prompts, completions, usd)
                text = successes[e] % (event_id, text_of[at], *told, trace_id, span_id, who)
            yield BulkEvent(at, keys[e], text.encode())


def planted(bulk: Bulk) -> list[Planted]:
    """Return the absurd events of `bulk_events`, in the order of time, without making the others."""
    found = []
    for position in _absurd_positions(bulk).tolist():
        first = position - position % _BATCH
        i = position - first
        found.append(Planted(_event_ids(bulk.seed, first)[36 * i : 36 * i + 36], _times(bulk, first)[i]))
    return found


def produce_bulk(bulk: Bulk, bootstrap_servers: str, topic: str) -> list[Planted]:
    """Send all events as fast as the broker takes them, a heartbeat a second to every partition between them.

    Returns the absurd events once the broker has everything. Raises SentinelError if it does not take it.
    """
    writer = TopicWriter(bootstrap_servers, topic, linger_ms=20)
    writer.write(bulk_records(bulk, writer.partitions))
    writer.close()
    return planted(bulk)


def bulk_records(bulk: Bulk, partitions: int) -> Iterator[Record]:
    """Yield the events as records, with a heartbeat to every partition for each second of event time between them."""
    tick_ms = bulk.start_at_ms
    for at_ms, key, value in bulk_events(bulk):
        if at_ms >= tick_ms:
            for partition in range(partitions):
                yield Record(tick_ms, None, encode(heartbeat(tick_ms, partition)), partition)
            tick_ms += HEARTBEAT_EVERY_MS
        yield Record(at_ms, key, value)


def in_avro(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the records as an Avro topic holds them."""
    for record in records:
        yield record._replace(value=encode_avro(decode_event(record.value)))


def _entities(bulk: Bulk) -> tuple[list[bytes], list[str], list[str], npt.NDArray[np.float64]]:
    keys, successes, failures = [], [], []
    for e in range(bulk.entities):
        application = e // 2
        tenant = f"tenant-{application % _TENANTS:02d}"
        provider, model = _MODELS[(application + e % 2) % len(_MODELS)]
        name = f"app-{application:05d}"
        head = (
            '{"event_id":"%s","timestamp":"%s",'
            f'"source":{{"service":"{name}","host":"{name}-0","version":"1.4.2"}},'
            f'"event_type":"llm.response","application_id":"{name}",'
            f'"data":{{"provider":"{provider}","operation":"chat","model":"{model}",'
        )
        tail = (
            f'"tenant_id":"{tenant}",'
            '"trace_id":"%s","span_id":"%s","metadata":{"user_id":"user-%04d",'
            '"environment":"production"}}'
        )
        keys.append(f"{tenant}|{name}".encode())
        successes.append(
            head + '"status":"success","latency_ms":%.3f,"ttft_ms":%.3f,"stream":true,"prompt_tokens":%d,'
            '"completion_tokens":%d,"cost":%.9f,"finish_reason":"stop"},' + tail
        )
        failures.append(head + '"status":"error","error_type":"server_error","latency_ms":%.3f,"stream":true},' + tail)
    generator = np.random.default_rng([bulk.seed, 1])
    # Medians by entity: latency and first token in microseconds, prompt and completion tokens.
    low, high = np.array([[800_000], [150_000], [200], [50]]), np.array([[5_000_000], [700_000], [4_000], [600]])
    return keys, successes, failures, np.exp(generator.uniform(np.log(low), np.log(high), (4, bulk.entities)))


def _absurd_positions(bulk: Bulk) -> I64:
    earliest = bulk.events // 3
    chosen = np.random.default_rng([bulk.seed, 2]).choice(bulk.events - earliest, size=bulk.absurd, replace=False)
    return np.sort(chosen) + earliest


def _times(bulk: Bulk, first: int) -> list[int]:
    places = np.arange(first, first + _BATCH)
    at_ms: I64 = bulk.start_at_ms + np.floor(places * (1000.0 / bulk.events_per_s)).astype(np.int64)
    return list(at_ms.tolist())


def _event_ids(seed: int, first: int) -> str:
    """Return the ids of a batch behind one another, 36 characters each: UUIDs of version 8."""
    digits = _hex_digits(np.random.default_rng([seed, 3, first]).integers(0, 256, (_BATCH, 16), dtype=np.uint8))
    digits[:, 12], digits[:, 16] = ord("8"), ord("a")
    ids = np.full((_BATCH, 36), ord("-"), dtype=np.uint8)
    ids[:, _UUID_PLACES] = digits
    return ids.tobytes().decode()


def _hex_text(octets: npt.NDArray[np.uint8]) -> str:
    return _hex_digits(octets).tobytes().decode()


def _hex_digits(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    digits: npt.NDArray[np.uint8] = _HEX[np.stack([octets >> 4, octets & 15], axis=-1)]
    return digits.reshape(len(octets), -1)
