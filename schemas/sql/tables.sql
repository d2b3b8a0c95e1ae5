-- Flink SQL tables over the topics of docs/contracts.md. `sentinel sql` creates them with the stack's own address in
-- place of 127.0.0.1:9092. A test holds the columns equal to the structs of schemas/.
--
-- Delivery is at least once by default, so a record may come twice: count distinct ids.

CREATE TEMPORARY TABLE telemetry (
    -- As it was sent: any offset from UTC is allowed, so the text stays a text.
    `event_id` STRING,
    `timestamp` STRING,
    `source` ROW<`service` STRING, `host` STRING, `version` STRING>,
    `event_type` STRING,
    `application_id` STRING,
    `data` ROW<
        `provider` STRING, `operation` STRING, `model` STRING, `response_model` STRING,
        `status` STRING, `error_type` STRING, `latency_ms` DOUBLE, `ttft_ms` DOUBLE, `stream` BOOLEAN,
        `prompt_tokens` BIGINT, `completion_tokens` BIGINT, `total_tokens` BIGINT, `cached_tokens` BIGINT,
        `cache_write_tokens` BIGINT, `reasoning_tokens` BIGINT, `cost` DOUBLE, `cost_source` STRING,
        `finish_reason` STRING, `prompt_hash` STRING, `prompt_length` BIGINT, `response_hash` STRING,
        `response_length` BIGINT, `metric_name` STRING, `value` DOUBLE, `unit` STRING>,
    `schema_version` STRING,
    `tenant_id` STRING,
    `correlation_id` STRING,
    `trace_id` STRING,
    `span_id` STRING,
    `metadata` ROW<`user_id` STRING, `session_id` STRING, `environment` STRING>,
    `written_at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    WATERMARK FOR `written_at` AS `written_at` - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'llm-telemetry',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    -- What the detection job made a dead letter must not stop a query.
    'json.ignore-parse-errors' = 'true'
);

CREATE TEMPORARY TABLE anomalies (
    `anomaly_id` STRING,
    `timestamp` TIMESTAMP_LTZ(3),
    `detector_id` STRING,
    `detector_type` STRING,
    `severity` STRING,
    `score` DOUBLE,
    `status` STRING,
    `schema_version` STRING,
    `detector_version` STRING,
    `raw_score` DOUBLE,
    `tenant_id` STRING,
    `application_id` STRING,
    `title` STRING,
    `description` STRING,
    `affected_entity` ROW<
        `type` STRING, `id` STRING, `name` STRING, `tenant_id` STRING, `application_id` STRING, `provider` STRING,
        `model` STRING, `user_id` STRING>,
    `metric` STRING,
    `unit` STRING,
    `method` STRING,
    `direction` STRING,
    `observed` DOUBLE,
    `expected` ROW<`value` DOUBLE, `low` DOUBLE, `high` DOUBLE>,
    `metrics` MAP<STRING, DOUBLE>,
    `sample_count` BIGINT,
    `volume` BIGINT,
    `context` ROW<
        `window_start` TIMESTAMP_LTZ(3), `window_end` TIMESTAMP_LTZ(3), `sample_events` ARRAY<STRING>,
        `related_anomalies` ARRAY<STRING>>,
    `contributors` MAP<STRING, DOUBLE>,
    `trace_ids` ARRAY<STRING>,
    `fingerprint` STRING,
    `actions_taken` ARRAY<ROW<`action` STRING, `target` STRING, `status` STRING, `timestamp` TIMESTAMP_LTZ(3)>>,
    `explanation` STRING,
    `moved` ARRAY<ROW<`dimension` STRING, `value` STRING, `share` DOUBLE>>,
    -- Anomalies of a minute's window come later than those of a second's.
    WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '2' MINUTE
) WITH (
    'connector' = 'kafka',
    'topic' = 'sentinel.anomalies',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

-- Compacted by key: the newest state of an incident replaces the ones before.
CREATE TEMPORARY TABLE incidents (
    `incident_id` STRING,
    `tenant_id` STRING,
    `scope` STRING,
    `status` STRING,
    `severity` STRING,
    `severity_score` DOUBLE,
    `title` STRING,
    `description` STRING,
    `opened_at` TIMESTAMP_LTZ(3),
    `updated_at` TIMESTAMP_LTZ(3),
    `closed_at` TIMESTAMP_LTZ(3),
    `expires_at` TIMESTAMP_LTZ(3),
    `revision` BIGINT,
    `anomaly_count` BIGINT,
    `anomaly_ids` ARRAY<STRING>,
    `entities` ARRAY<ROW<
        `type` STRING, `id` STRING, `name` STRING, `tenant_id` STRING, `application_id` STRING, `provider` STRING,
        `model` STRING, `user_id` STRING>>,
    `detectors` ARRAY<STRING>,
    `metrics` ARRAY<STRING>,
    `contributors` MAP<STRING, DOUBLE>,
    `probable_cause` STRING,
    `causes` MAP<STRING, DOUBLE>,
    `trace_ids` ARRAY<STRING>,
    `parent_incident_id` STRING,
    `schema_version` STRING,
    PRIMARY KEY (`incident_id`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'sentinel.incidents',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'key.format' = 'raw',
    'value.format' = 'json',
    'value.json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TEMPORARY TABLE summaries (
    `metric_name` STRING,
    `timestamp` TIMESTAMP_LTZ(3),
    `window_end` TIMESTAMP_LTZ(3),
    `window_duration` STRING,
    `aggregation` STRING,
    `value` DOUBLE,
    `unit` STRING,
    `entity` ROW<
        `type` STRING, `id` STRING, `name` STRING, `tenant_id` STRING, `application_id` STRING, `provider` STRING,
        `model` STRING, `user_id` STRING>,
    `dimensions` MAP<STRING, STRING>,
    `expected` DOUBLE,
    `expected_low` DOUBLE,
    `expected_high` DOUBLE,
    `sample_count` BIGINT,
    `completeness` DOUBLE,
    `schema_version` STRING,
    WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '2' MINUTE
) WITH (
    'connector' = 'kafka',
    'topic' = 'sentinel.summaries',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TEMPORARY TABLE dead_letters (
    `dead_letter_id` STRING,
    `reason` STRING,
    `detail` STRING,
    `topic` STRING,
    `partition` BIGINT,
    `offset` BIGINT,
    `payload_base64` STRING,
    `payload_size` BIGINT,
    `key_base64` STRING,
    `timestamp` TIMESTAMP_LTZ(3),
    `schema_version` STRING,
    `written_at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    WATERMARK FOR `written_at` AS `written_at` - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'sentinel.dead-letters',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

-- The newest verdict on each anomaly.
CREATE TEMPORARY TABLE feedback (
    `anomaly_id` STRING,
    `verdict` STRING,
    `given_at` TIMESTAMP_LTZ(3),
    `note` STRING,
    `given_by` STRING,
    `timestamp` TIMESTAMP_LTZ(3),
    `detector_id` STRING,
    `detector_version` STRING,
    `tenant_id` STRING,
    `entity_id` STRING,
    `metric` STRING,
    `severity` STRING,
    `raw_score` DOUBLE,
    `schema_version` STRING,
    PRIMARY KEY (`anomaly_id`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'sentinel.feedback',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'key.format' = 'raw',
    'value.format' = 'json',
    'value.json.timestamp-format.standard' = 'ISO-8601'
);

-- One row per change of state of an alert; dispatch may write one twice, with the same `change_id`.
CREATE TEMPORARY TABLE alerts (
    `change_id` STRING,
    `fingerprint` STRING,
    `state` STRING,
    `previous` STRING,
    `at` TIMESTAMP_LTZ(3),
    `by` STRING,
    `tenant_id` STRING,
    `labels` MAP<STRING, STRING>,
    `annotations` MAP<STRING, STRING>,
    `starts_at` TIMESTAMP_LTZ(3),
    `ends_at` TIMESTAMP_LTZ(3),
    `generator_url` STRING,
    `schema_version` STRING,
    WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'sentinel.alerts',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

-- What Shield is to do; a row counts until `expires_at`, and `none` is nothing.
CREATE TEMPORARY TABLE actions (
    `action_id` STRING,
    `action` STRING,
    `target` ROW<`tenant_id` STRING, `application_id` STRING, `provider` STRING, `model` STRING, `user_id` STRING>,
    `at` TIMESTAMP_LTZ(3),
    `expires_at` TIMESTAMP_LTZ(3),
    `limit` BIGINT,
    `per_s` BIGINT,
    `alert_id` STRING,
    `fingerprint` STRING,
    `reason` STRING,
    `schema_version` STRING,
    WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'sentinel.actions',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

-- Late events are the bytes of the originals under the key `topic-partition-offset`.
CREATE TEMPORARY TABLE late_events (
    `came_from` STRING,
    `payload` STRING,
    `written_at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    WATERMARK FOR `written_at` AS `written_at` - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'sentinel.late',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'scan.startup.mode' = 'earliest-offset',
    'key.format' = 'raw',
    'key.fields' = 'came_from',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
);

-- Rules and whatever else is configured, JSON by record key; JSON_VALUE(`document`, '$.name') takes it apart.
CREATE TEMPORARY TABLE config (
    `record_key` STRING,
    `document` STRING,
    PRIMARY KEY (`record_key`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'sentinel.config',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'key.format' = 'raw',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
);

-- Published models (MODELS is a word of SQL itself); the arrays are base64 inside the document, so name what you select.
CREATE TEMPORARY TABLE published_models (
    `record_key` STRING,
    `document` STRING,
    PRIMARY KEY (`record_key`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'sentinel.models',
    'properties.bootstrap.servers' = '127.0.0.1:9092',
    'key.format' = 'raw',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
);
