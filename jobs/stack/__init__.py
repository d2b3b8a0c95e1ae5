"""The local stack: a Kafka broker, a Flink cluster, the detection job and its services, on the loopback interface."""
