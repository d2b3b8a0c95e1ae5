"""Prints what one event costs to decode and check, and to take through a shard's detection, as JSON and as Avro.

    python -m tests.benchmarks.telemetry_formats [events]

Processor time of one thread in microseconds an event, the best of five turns taken one after the other; batches of 250.
"""

import sys
from itertools import islice
from time import process_time

from jobs.replay.bulk import Bulk, bulk_events
from schemas.avro import decode_event_avro, encode_avro
from schemas.codec import decode_event
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.event_columns import TelemetryFormat, read_columns
from udfs.record_block import block_of
from udfs.settings import DetectionSettings

_BATCH = 250
_TURNS = 5
_START_AT_MS = 1_780_000_000_000


def decode_us(payloads: list[bytes], telemetry_format: TelemetryFormat) -> float:
    """Return what it takes to make columns of payloads."""
    began = process_time()
    for start in range(0, len(payloads), _BATCH):
        batch = payloads[start : start + _BATCH]
        read_columns(block_of(batch, range(len(batch))), telemetry_format)
    return (process_time() - began) / len(payloads) * 1e6


def library_us(payloads: list[bytes]) -> float:
    """Return what it takes fastavro, which says what is wrong with a bad record."""
    began = process_time()
    for payload in islice(payloads, 2_000):
        decode_event_avro(payload)
    return (process_time() - began) / min(len(payloads), 2_000) * 1e6


def detect_us(payloads: list[bytes], telemetry_format: TelemetryFormat) -> float:
    """Return what it takes to detect on the second half of payloads, the broker's times beside them."""
    shard = ShardDetection(DetectionSettings(telemetry_format=telemetry_format), Control({}), 0)
    half, began = len(payloads) // 2 // _BATCH * _BATCH, 0.0
    for start in range(0, len(payloads), _BATCH):
        if start == half:
            began = process_time()
        batch = payloads[start : start + _BATCH]
        shard.on_records(block_of(batch, range(start, start + len(batch)), [_START_AT_MS + 10**9] * len(batch)))
        list(shard.changes())
    return (process_time() - began) / (len(payloads) - half) * 1e6


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    lines = [event.value for event in bulk_events(Bulk(events=number, start_at_ms=_START_AT_MS))]
    plain = [encode_avro(decode_event(line)) for line in lines]
    turns = [
        (
            decode_us(lines, "json"),
            decode_us(plain, "avro"),
            library_us(plain),
            detect_us(lines, "json"),
            detect_us(plain, "avro"),
        )
        for _ in range(_TURNS)
    ]
    decoded, from_avro, library, detected, detected_avro = map(min, zip(*turns, strict=True))
    sizes = [sum(map(len, payloads)) / number for payloads in (lines, plain)]
    print(f"{'':>8}  {'bytes':>5}  {'decode':>6}  {'detect':>6}")  # noqa: T201
    print(f"{'JSON':>8}  {sizes[0]:5.0f}  {decoded:6.2f}  {detected:6.2f}")  # noqa: T201
    print(f"{'Avro':>8}  {sizes[1]:5.0f}  {from_avro:6.2f}  {detected_avro:6.2f}")  # noqa: T201
    print(f"{'Avro/JSON':>9} {sizes[1] / sizes[0]:5.2f}  {from_avro / decoded:6.2f}  {detected_avro / detected:6.2f}")  # noqa: T201
    print(f"fastavro decodes in {library:.1f}")  # noqa: T201
