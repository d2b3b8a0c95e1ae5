"""Ingestion: telemetry of every dialect in, accounted for, to `llm-telemetry`; as a gateway or as a sidecar."""
