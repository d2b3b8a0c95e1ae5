"""gRPC: OTLP, our own service and the standard health service, on one port."""
