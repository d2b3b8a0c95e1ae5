"""Quix Streams: a streaming data frame with a stateful function; RocksDB, a changelog topic, at least once."""

from pathlib import Path
from typing import Any

from quixstreams import Application, State

from tests.benchmarks.peers.judging import entity_of, fresh, is_call, judge, place

HERE = place()


def detect(event: dict[str, Any], state: State) -> list[dict[str, Any]]:
    """Judge a call; the state is that of the record's key, the application, and holds an entry for each entity."""
    entity = entity_of(event)
    baseline = state.get(entity) or fresh()
    results = judge(event, baseline)
    state.set(entity, baseline)
    return results


app = Application(
    broker_address=HERE.bootstrap_servers,
    consumer_group=HERE.found,
    auto_offset_reset="earliest",
    state_dir=Path(HERE.folder) / str(HERE.worker),
)
calls = app.dataframe(app.topic(HERE.calls, value_deserializer="json"))
calls = calls.filter(is_call)
calls = calls.apply(detect, stateful=True, expand=True)
calls.to_topic(app.topic(HERE.found, value_serializer="json"))

if __name__ == "__main__":
    app.run()
