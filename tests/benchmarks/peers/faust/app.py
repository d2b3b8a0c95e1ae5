"""Faust: an agent with a table; RocksDB, a changelog topic, at least once."""

from pathlib import Path
from typing import Any

import faust

from tests.benchmarks.peers.judging import entity_of, fresh, is_call, judge, place

HERE = place()

app = faust.App(
    HERE.found,
    broker=f"kafka://{HERE.bootstrap_servers}",
    store="rocksdb://",
    datadir=Path(HERE.folder) / str(HERE.worker),
    topic_partitions=4,
)
calls = app.topic(HERE.calls, key_serializer="raw", value_serializer="json")
found = app.topic(HERE.found, key_serializer="raw", value_serializer="json")
# Partitioned as the calls are: an entity's are in one partition.
baselines = app.Table("baselines", partitions=4)


@app.agent(calls)
async def detect(events: faust.StreamT[dict[str, Any]]) -> None:
    """Judge each call against the state of its entity."""
    async for event in events:
        if not is_call(event):
            continue
        entity = entity_of(event)
        baseline = baselines.get(entity) or fresh()
        results = judge(event, baseline)
        baselines[entity] = baseline
        for result in results:
            await found.send(key=entity, value=result)
