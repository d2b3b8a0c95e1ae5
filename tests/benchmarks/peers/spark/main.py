"""PySpark Structured Streaming: `applyInPandasWithState` between Kafka source and sink, with a checkpoint."""

from array import array
from collections.abc import Iterator
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming.state import GroupState, GroupStateTimeout

from tests.benchmarks.peers.judging import fresh, judge, place

CALL = (
    "event_id string, timestamp string, event_type string, tenant_id string, application_id string, "
    "data struct<provider: string, model: string, latency_ms: double, ttft_ms: double, prompt_tokens: double, "
    "completion_tokens: double, cost: double>"
)
RESULT = (
    "event_id string, timestamp string, entity string, detector string, metric string, observed double, "
    "expected_log double, score double"
)
ENTITY = ("tenant_id", "application_id", "provider", "model")
VALUES = ("latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "cost")


def detect(key: tuple[str, ...], frames: Iterator[pd.DataFrame], state: GroupState) -> Iterator[pd.DataFrame]:
    """Judge the calls of an entity in a micro-batch against its state."""
    baseline = array("d", bytes(state.get[0])).tolist() if state.exists else fresh()
    names = dict(zip(ENTITY, key, strict=True))
    results: list[dict[str, Any]] = []
    for frame in frames:
        for event_id, timestamp, *values in frame[["event_id", "timestamp", *VALUES]].itertuples(index=False):
            # A missing value is NaN in a frame.
            told = {metric: value for metric, value in zip(VALUES, values, strict=True) if value == value}  # noqa: PLR0124
            event = {"event_id": event_id, "timestamp": timestamp, **names, "data": names | told}
            results += judge(event, baseline)
    # An array of numbers as state fails in the Python worker of 4.2.0.
    state.update((array("d", baseline).tobytes(),))
    if results:
        yield pd.DataFrame(results)


def main() -> None:
    """Run the query for ever."""
    here = place()
    spark = SparkSession.builder.appName("peer").getOrCreate()
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", here.bootstrap_servers)
        .option("subscribe", here.calls)
        .option("startingOffsets", "earliest")
        # Without it the backlog would be one batch, and its results would come at its end.
        .option("maxOffsetsPerTrigger", 100_000)
        .load()
    )
    event = f.from_json(f.col("value").cast("string"), CALL).alias("event")
    calls = records.select(event).where("event.event_type = 'llm.response'").select("event.*", "event.data.*")
    results = calls.groupBy(*ENTITY).applyInPandasWithState(
        detect, RESULT, "baseline binary", "append", GroupStateTimeout.NoTimeout
    )
    query = (
        results.select(f.col("entity").alias("key"), f.to_json(f.struct("*")).alias("value"))
        .writeStream.format("kafka")
        .option("kafka.bootstrap.servers", here.bootstrap_servers)
        .option("topic", here.found)
        .option("checkpointLocation", f"{here.folder}/checkpoint")
        .outputMode("append")
        .start()
    )
    query.awaitTermination()


if __name__ == "__main__":
    main()
