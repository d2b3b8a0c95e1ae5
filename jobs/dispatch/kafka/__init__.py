"""Dispatch and Kafka: what is read, what is written, and what is watched for silence."""
