"""A plain loop: confluent-kafka, orjson and a dict. Every ten seconds results are flushed and state and offsets kept.

What remains of a framework when all is taken away that is not needed here: partitions are dealt by hand, and nothing is
ever moved to another process.
"""

import pickle
import time
from pathlib import Path

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.benchmarks.peers.judging import entity_of, fresh, is_call, judge, place

WORKERS = 2
KEEP_EVERY_S = 10.0


def main() -> None:
    """Run for ever."""
    here = place()
    kept = Path(here.folder) / f"{here.worker}.pickle"
    consumer = Consumer({"bootstrap.servers": here.bootstrap_servers, "group.id": here.found})
    producer = Producer({"bootstrap.servers": here.bootstrap_servers, "linger.ms": 0})
    partitions = consumer.list_topics(here.calls).topics[here.calls].partitions
    offsets = {number: OFFSET_BEGINNING for number in partitions if number % WORKERS == here.worker}
    baselines: dict[str, list[float]] = {}
    if kept.exists():
        offsets, baselines = pickle.loads(kept.read_bytes())  # noqa: S301 - written by this program
    consumer.assign([TopicPartition(here.calls, *each) for each in offsets.items()])
    keep_at_s = time.monotonic() + KEEP_EVERY_S
    while True:
        for message in consumer.consume(1_000, timeout=0.02):
            if message.error() is not None:
                raise RuntimeError(message.error())
            offsets[message.partition() or 0] = (message.offset() or 0) + 1
            event = orjson.loads(message.value() or b"{}")
            if is_call(event):
                entity = entity_of(event)
                baseline = baselines.get(entity)
                if baseline is None:
                    baseline = baselines[entity] = fresh()
                for result in judge(event, baseline):
                    producer.produce(here.found, orjson.dumps(result), entity.encode())
        producer.poll(0)
        if time.monotonic() >= keep_at_s:
            producer.flush()
            draft = kept.with_suffix(".new")
            draft.write_bytes(pickle.dumps((offsets, baselines)))
            draft.replace(kept)
            keep_at_s = time.monotonic() + KEEP_EVERY_S


if __name__ == "__main__":
    main()
