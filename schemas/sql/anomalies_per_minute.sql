-- Anomalies per detector and minute of event time, those that are in the topic now.
SELECT
    `window_start`,
    `detector_id`,
    COUNT(DISTINCT `anomaly_id`) AS `anomalies`,
    COUNT(DISTINCT CASE WHEN `severity` = 'critical' THEN `anomaly_id` END) AS `critical`
FROM TABLE(
    TUMBLE(
        DATA => (SELECT * FROM anomalies /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */),
        TIMECOL => DESCRIPTOR(`timestamp`),
        SIZE => INTERVAL '1' MINUTE))
GROUP BY `window_start`, `window_end`, `detector_id`;
