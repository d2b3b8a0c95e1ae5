"""The detection job: telemetry from Kafka through stateful detectors to anomalies and incidents in Kafka."""
