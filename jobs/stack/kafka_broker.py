"""The stack's Kafka broker: one KRaft node, run from its Java archives."""

import base64
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from jobs.errors import SentinelError
from jobs.stack.java import find_java
from jobs.stack.layout import CONFIGURATION, Layout, archives
from jobs.stack.ports import LOOPBACK, is_listening
from jobs.stack.processes import ManagedProcess, start
from jobs.stack.state import Ports
from jobs.stack.waiting import wait_until
from jobs.topics import Topic

NAME: Final = "kafka"
_START_S: Final = 60.0
_REQUEST_S: Final = 10.0
# The data of a handful of topics is in the page cache, not in the heap.
_HEAP: Final = ("-Xms256m", "-Xmx768m", "-XX:+UseG1GC")


def start_broker(layout: Layout, ports: Ports, env: dict[str, str]) -> ManagedProcess:
    """Write the broker's settings, format its folder the first time, and start it."""
    settings = layout.kafka / "server.properties"
    data = layout.kafka / "data"
    layout.kafka.mkdir(parents=True, exist_ok=True)
    settings.write_text((CONFIGURATION / "kafka-server.properties").read_text() + _placement(ports, data))
    if not (data / "meta.properties").exists():
        _format(settings)
    argv = [
        *_java(*_HEAP, f"-XX:ErrorFile={layout.logs}/kafka-crash-%p.log"),
        "kafka.Kafka",
        str(settings),
    ]
    return start(NAME, argv, log=layout.log_of(NAME), env=env)


def wait_for_broker(process: ManagedProcess, ports: Ports) -> None:
    """Return when the broker answers questions about its topics."""

    def answers() -> bool:
        # librdkafka would complain on standard error about every refused connection.
        if not is_listening(ports.kafka):
            return False
        try:
            return bool(_admin(ports).list_topics(timeout=_REQUEST_S).brokers)
        except KafkaException:
            return False

    wait_until(answers, "Kafka to answer", deadline_s=_START_S, watched=[process])


def create_topics(ports: Ports, topics: Iterable[Topic]) -> None:
    """Create the topics that are not there yet."""
    wanted = [
        NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=1, config=topic.config)
        for topic in topics
    ]
    # Kept by name: a client that is collected takes its answers with it.
    admin = _admin(ports)
    for name, created in admin.create_topics(wanted, request_timeout=_REQUEST_S).items():
        try:
            created.result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise SentinelError(f"Kafka refused to create the topic {name}: {reason.str()}") from error


def _admin(ports: Ports) -> AdminClient:
    return AdminClient({"bootstrap.servers": f"{LOOPBACK}:{ports.kafka}", "log_level": 0})


def _java(*flags: str) -> list[str]:
    return [
        find_java(),
        *flags,
        f"-Dlog4j2.configurationFile={CONFIGURATION / 'log4j-kafka.properties'}",
        "-classpath",
        f"{archives('kafka')}/*",
    ]


def _placement(ports: Ports, data: Path) -> str:
    """Return the settings that only this stack knows."""
    client = f"CLIENT://{LOOPBACK}:{ports.kafka}"
    return "\n".join(
        (
            "",
            f"listeners={client},CONTROLLER://{LOOPBACK}:{ports.kafka_controller}",
            f"advertised.listeners={client}",
            f"controller.quorum.voters=1@{LOOPBACK}:{ports.kafka_controller}",
            f"log.dirs={data}",
            "",
        )
    )


def _format(settings: Path) -> None:
    """Give the data folder its cluster's identity, without which a KRaft broker does not start."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        [
            *_java("-XX:TieredStopAtLevel=1"),
            *("kafka.tools.StorageTool", "format", "--config", str(settings)),
            # One word: an identity may begin with a hyphen, which would be taken for an option.
            f"--cluster-id={cluster}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise SentinelError(f"Kafka could not format its folder for {settings}: {' '.join(last)}")
