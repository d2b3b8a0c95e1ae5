"""Bytewax: a keyed dataflow with `stateful_flat_map` between its Kafka connectors; state and offsets in SQLite."""

from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow

from tests.benchmarks.peers.judging import entity_of, fresh, is_call, judge, place

HERE = place()


def decode(message: KafkaSourceMessage) -> dict[str, Any] | None:
    """Return the call in a record, if it is one."""
    event = orjson.loads(message.value)
    return event if is_call(event) else None


def detect(baseline: list[float] | None, event: dict[str, Any]) -> tuple[list[float], list[dict[str, Any]]]:
    """Judge a call against the state of its entity."""
    baseline = baseline or fresh()
    results = judge(event, baseline)
    return baseline, results


def encode(item: tuple[str, dict[str, Any]]) -> KafkaSinkMessage:
    """Return the record of a result."""
    entity, result = item
    return KafkaSinkMessage(entity.encode(), orjson.dumps(result))


flow = Dataflow("peer")
records = kop.input("records", flow, brokers=[HERE.bootstrap_servers], topics=[HERE.calls])
calls = op.filter_map("decode", records.oks, decode)
keyed = op.key_on("entity", calls, entity_of)
results = op.stateful_flat_map("detect", keyed, detect)
kop.output("results", op.map("encode", results, encode), brokers=[HERE.bootstrap_servers], topic=HERE.found)
