-- Pure Flink SQL: decode, 1 s windows with seven aggregates for each application and model. Nothing is learnt: in place
-- of the two detections stands a fixed limit, which the planted calls exceed, so that results can be counted. It is what
-- the JVM alone does with these records, not a peer in detection.

SET 'parallelism.default' = '2';
SET 'pipeline.name' = '${FOUND}';
-- One row a record on the way to the windows would be the cost: sum first, then exchange.
SET 'table.optimizer.agg-phase-strategy' = 'TWO_PHASE';

CREATE TEMPORARY TABLE calls (
    `event_id` STRING,
    `timestamp` TIMESTAMP_LTZ(3),
    `event_type` STRING,
    `application_id` STRING,
    `data` ROW<`model` STRING, `latency_ms` DOUBLE, `ttft_ms` DOUBLE, `prompt_tokens` BIGINT,
        `completion_tokens` BIGINT, `cost` DOUBLE>,
    WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '0.5' SECOND
) WITH (
    'connector' = 'kafka', 'topic' = '${CALLS}', 'properties.bootstrap.servers' = '${KAFKA}',
    'properties.group.id' = '${FOUND}', 'scan.startup.mode' = 'earliest-offset',
    'properties.fetch.max.wait.ms' = '10', 'properties.max.poll.records' = '5000',
    'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601', 'json.ignore-parse-errors' = 'true'
);

CREATE TEMPORARY TABLE found (
    `event_id` STRING, `application_id` STRING, `model` STRING, `window_start` TIMESTAMP_LTZ(3), `calls` BIGINT,
    `latency_ms_mean` DOUBLE, `latency_ms_max` DOUBLE, `ttft_ms_mean` DOUBLE, `prompt_tokens` BIGINT,
    `completion_tokens` BIGINT, `cost` DOUBLE
) WITH (
    'connector' = 'kafka', 'topic' = '${FOUND}', 'properties.bootstrap.servers' = '${KAFKA}',
    'properties.linger.ms' = '0', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
);

INSERT INTO found
SELECT strange, application_id, model, window_start, calls, latency_ms_mean, latency_ms_max, ttft_ms_mean,
    prompt_tokens, completion_tokens, cost
FROM (
    SELECT application_id, `data`.model AS model, window_start,
        COUNT(*) AS calls, AVG(`data`.latency_ms) AS latency_ms_mean, MAX(`data`.latency_ms) AS latency_ms_max,
        AVG(`data`.ttft_ms) AS ttft_ms_mean, SUM(`data`.prompt_tokens) AS prompt_tokens,
        SUM(`data`.completion_tokens) AS completion_tokens, SUM(`data`.cost) AS cost,
        MAX(CASE WHEN `data`.latency_ms > 60000 THEN event_id END) AS strange
    FROM TABLE(TUMBLE(TABLE calls, DESCRIPTOR(`timestamp`), INTERVAL '1' SECOND))
    WHERE event_type = 'llm.response'
    GROUP BY application_id, `data`.model, window_start, window_end
)
WHERE strange IS NOT NULL;
