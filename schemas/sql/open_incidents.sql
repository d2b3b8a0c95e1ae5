-- Incidents that are open, by severity score. An incident whose `expires_at` has passed counts as closed.
SELECT `incident_id`, `severity`, `severity_score`, `tenant_id`, `scope`, `opened_at`, `expires_at`, `revision`
FROM incidents /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */
WHERE `status` = 'open';
