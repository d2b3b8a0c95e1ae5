"""The command that creates the topics, on a Kafka cluster that `sentinel up` did not start."""

from typing import Annotated

import typer
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console

from jobs.errors import SentinelError
from jobs.topics import TELEMETRY, TOPICS

_REQUEST_S = 15.0


def topics(
    bootstrap_servers: Annotated[str, typer.Option(help="Kafka's address, host:port.")],
    replicas: Annotated[int, typer.Option(min=1, max=7, help="Copies of each partition.")] = 3,
    telemetry_partitions: Annotated[
        int, typer.Option(min=1, max=120, help="Partitions of llm-telemetry, fixed for the life of the state.")
    ] = TELEMETRY.partitions,
) -> None:
    """Create the topics of docs/contracts.md that are not there yet; those that are stay as they are."""
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=telemetry_partitions if topic is TELEMETRY else topic.partitions,
            replication_factor=replicas,
            config=topic.config,
        )
        for topic in TOPICS
    ]
    console = Console(highlight=False, soft_wrap=True)
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    for name, created in admin.create_topics(wanted, request_timeout=_REQUEST_S).items():
        try:
            created.result()
            console.print(f"created  {name}")
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise SentinelError(f"Kafka at {bootstrap_servers} did not create {name}: {reason.str()}") from None
            console.print(f"there    {name}")
