"""What the stack runs on Kafka and Flink: plain Python processes, and the detection job."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import asdict

from jobs.stack.layout import PROJECT, PYTHON, Layout
from jobs.stack.ports import LOOPBACK
from jobs.stack.state import Ports


@dataclass(frozen=True, slots=True)
class Service:
    """A plain Python process, started after Kafka as `python -m module --bootstrap-servers ...`.

    Arguments may name the stack's `{home}`, its ports, such as `{ingestion_http}`, and `{dispatch_config}`.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()

    def argv(self, bootstrap_servers: str, layout: Layout, ports: Ports, dispatch_config: Path) -> list[str]:
        """Return the command that starts it."""
        places = {"home": str(layout.home), "dispatch_config": str(dispatch_config), **asdict(ports)}
        arguments = [argument.format_map(places) for argument in self.arguments]
        return [str(PYTHON), "-m", self.module, "--bootstrap-servers", bootstrap_servers, *arguments]


INGESTION: Final = Service(
    "ingestion",
    "jobs.ingestion",
    (
        *("--http", f"{LOOPBACK}:{{ingestion_http}}"),
        *("--grpc", f"{LOOPBACK}:{{ingestion_grpc}}"),
        *("--folder", "{home}/ingestion"),
    ),
)

DISPATCH: Final = Service(
    "dispatch",
    "jobs.dispatch",
    (
        *("--config", "{dispatch_config}"),
        *("--store", "{home}/dispatch"),
        *("--listen", f"{LOOPBACK}:{{dispatch}}"),
    ),
)
DISPATCH_CONFIG: Final = PROJECT / "jobs" / "dispatch" / "default.yml"

# In the order of starting.
SERVICES: Final[tuple[Service, ...]] = (INGESTION, DISPATCH)

DETECTION_MODULE: Final = "jobs.detection"
# The name the job gives itself; `up` starts none while one of this name is there.
DETECTION_JOB: Final = "llm-sentinel-detection"


def detection_arguments(bootstrap_servers: str) -> list[str]:
    """Return the arguments of the detection job on this stack."""
    return ["--bootstrap-servers", bootstrap_servers]


def newest_checkpoint(layout: Layout, job_ids: Iterable[str]) -> Path | None:
    """Return the newest complete checkpoint of the jobs, from which the next one goes on after `down` and `up`."""
    complete = [file for job_id in job_ids for file in (layout.checkpoints / job_id).glob("chk-*/_metadata")]
    return max(complete, key=lambda file: file.stat().st_mtime).parent if complete else None
