"""Starting a stack's processes and waiting until they answer."""

import os
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Final

from jobs.errors import SentinelError
from jobs.stack import kafka_broker
from jobs.stack.flink_cluster import JOBMANAGER, FlinkCluster
from jobs.stack.flink_settings import Settings, read_settings, stack_settings
from jobs.stack.layout import VENV, Layout, numba_cache
from jobs.stack.ports import demanded_port, free_port, is_listening, is_ready
from jobs.stack.processes import start
from jobs.stack.services import DISPATCH, INGESTION, SERVICES
from jobs.stack.state import Ports, StackRecord
from jobs.stack.waiting import wait_until
from jobs.topics import TOPICS

CLUSTER_S: Final = 90.0
SERVICE_S: Final = 60.0
_USUAL: Final = Ports(kafka=9092, kafka_controller=9094, flink_rest=8081, flink_rpc=6123)


def taskmanager_name(number: int) -> str:
    """Return the name of a TaskManager by its number; 1 is the first."""
    return f"taskmanager-{number}"


def environment(layout: Layout) -> dict[str, str]:
    """Return the environment of every process of a stack."""
    cache = numba_cache()
    cache.mkdir(parents=True, exist_ok=True)
    return os.environ | {
        # First on the PATH: the interpreter embedded in a TaskManager finds its packages through `python3` there.
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(VENV),
        "NUMBA_CACHE_DIR": str(cache),
        "SENTINEL_HOME": str(layout.home),
        "PYTHONUNBUFFERED": "1",
    }


def flink_client(layout: Layout) -> FlinkCluster:
    """Return the cluster with the settings that its processes were started with."""
    return FlinkCluster(layout, read_settings(layout.flink / "conf" / "config.yaml"), environment(layout))


def settle(
    layout: Layout,
    record: StackRecord,
    *,
    taskmanagers: int,
    kafka_port: int | None,
    rest_port: int | None,
    settings: Settings,
) -> None:
    """Choose the ports of a stack of which nothing runs, and write Flink's settings; refuse to move one that runs."""
    previous = record.read()
    if previous and record.alive():
        _refuse_to_move(previous.ports, kafka_port, rest_port)
        return
    ports = _choose_ports(previous.ports if previous else _USUAL, kafka_port, rest_port)
    FlinkCluster(layout, stack_settings(layout, ports, taskmanagers, settings), environment(layout)).prepare()
    record.begin(ports)


def launch_kafka_and_flink(layout: Layout, record: StackRecord, taskmanagers: int) -> None:
    """Start what of broker, JobManager and TaskManagers does not run, and wait for all of it."""
    alive = record.alive()
    ports = record.required().ports
    # Flink first: its JVMs start while Kafka formats its folder.
    if JOBMANAGER not in alive:
        record.add(flink_client(layout).start_jobmanager())
    missing = [number for number in range(1, taskmanagers + 1) if taskmanager_name(number) not in alive]
    started = {_start_taskmanager(layout, record, number) for number in missing}
    if kafka_broker.NAME not in alive:
        record.add(kafka_broker.start_broker(layout, ports, environment(layout)))
    kafka_broker.wait_for_broker(record.process(kafka_broker.NAME), ports)
    kafka_broker.create_topics(ports, TOPICS)
    _wait_for_registration(layout, record, started, range(1, taskmanagers + 1))


def launch_taskmanager(layout: Layout, record: StackRecord, number: int) -> None:
    """Start a TaskManager and wait until the JobManager knows it."""
    _wait_for_registration(layout, record, {_start_taskmanager(layout, record, number)}, [number])


def launch_services(layout: Layout, record: StackRecord, bootstrap_servers: str, dispatch_config: Path) -> None:
    """Start the plain Python processes that do not run, and wait until they are ready."""
    alive = record.alive()
    for service in SERVICES:
        if service.name not in alive:
            argv = service.argv(bootstrap_servers, layout, record.required().ports, dispatch_config)
            record.add(start(service.name, argv, log=layout.log_of(service.name), env=environment(layout)))
    ports = record.required().ports
    wait_until(
        lambda: is_ready(ports.ingestion_http, "/readyz") and is_listening(ports.ingestion_grpc),
        "ingestion to be ready",
        deadline_s=SERVICE_S,
        watched=[record.process(INGESTION.name)],
    )
    wait_until(
        lambda: is_ready(ports.dispatch, "/-/ready"),
        "dispatch to be ready",
        deadline_s=SERVICE_S,
        watched=[record.process(DISPATCH.name)],
    )


def _start_taskmanager(layout: Layout, record: StackRecord, number: int) -> str:
    name = taskmanager_name(number)
    # A new id each time: the JobManager may not have noticed yet that the previous one is gone.
    resource_id = f"{name}-{uuid.uuid4().hex[:6]}"
    record.add(flink_client(layout).start_taskmanager(name, resource_id))
    return resource_id


def _wait_for_registration(
    layout: Layout, record: StackRecord, resource_ids: set[str], numbers: Collection[int]
) -> None:
    """Return when the JobManager knows the new TaskManagers, and as many as there are to be; raise when one ends."""
    cluster = flink_client(layout)

    def registered() -> bool:
        known = cluster.taskmanager_ids()
        return resource_ids <= known and len(known) >= len(numbers)

    # Those that ran before as well: one that ends now is missing as much as a new one.
    names = {JOBMANAGER, *map(taskmanager_name, numbers)}
    wait_until(
        registered,
        "the TaskManagers to register",
        deadline_s=CLUSTER_S,
        watched=[process for process in record.processes() if process.name in names],
    )


def _choose_ports(usual: Ports, kafka_port: int | None, rest_port: int | None) -> Ports:
    kafka = demanded_port(kafka_port, "Kafka") if kafka_port else free_port(usual.kafka)
    taken = frozenset({kafka})
    rest = demanded_port(rest_port, "Flink") if rest_port else free_port(usual.flink_rest, taken)
    taken |= {rest}
    controller = free_port(usual.kafka_controller, taken)
    taken |= {controller}
    rpc = free_port(usual.flink_rpc, taken)
    taken |= {rpc}
    http = free_port(usual.ingestion_http, taken)
    grpc = free_port(usual.ingestion_grpc, taken | {http})
    dispatch = free_port(usual.dispatch, taken | {http, grpc})
    return Ports(
        kafka=kafka,
        kafka_controller=controller,
        flink_rest=rest,
        flink_rpc=rpc,
        ingestion_http=http,
        ingestion_grpc=grpc,
        dispatch=dispatch,
    )


def _refuse_to_move(ports: Ports, kafka_port: int | None, rest_port: int | None) -> None:
    for wanted, present, what in ((kafka_port, ports.kafka, "Kafka"), (rest_port, ports.flink_rest, "Flink")):
        if wanted not in (None, present):
            raise SentinelError(f"{what} already runs on port {present}: run `sentinel down` before moving it.")
