"""What a sidecar does instead of writing to Kafka: it forwards to a gateway, and tells absurd calls by itself."""
