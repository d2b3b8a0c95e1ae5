"""Metrics: the job's own, as Flink's REST interface has them, under the names and labels they have in Prometheus.

The local stack serves no Prometheus pages, because Flink's reporter listens on every interface of the machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from jobs.stack.flink_cluster import FlinkCluster
from jobs.stack.services import DETECTION_JOB
from operators.metrics import GROUP

PREFIX: Final = "flink_taskmanager_job_task_operator"
_RUNNING: Final = "RUNNING"
_AT_ONCE: Final = 20
"""Metrics per request: a request line may be 4096 bytes long."""


class Sample(NamedTuple):
    """One series and its value now."""

    name: str
    labels: dict[str, str]
    value: float

    def __str__(self) -> str:
        """Return the line of Prometheus' text format."""
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{self.name}{{{labels}}} {self.value:.15g}"


def read_metrics(cluster: FlinkCluster) -> Iterator[Sample]:
    """Yield our metrics of the running detection job; none while there is no such job.

    Raises SentinelError when Flink does not answer. Values are at most as old as the reading before.
    """
    for path in _vertices(cluster):
        listed = [each["id"] for each in cluster.get(f"{path}/metrics")]
        ours = [name for name in listed if f".{GROUP}." in name]
        for some in _portions(ours):
            for each in cluster.get(f"{path}/metrics?get={quote(','.join(some))}"):
                yield sample(each["id"], float(each["value"]))


def read_sum(cluster: FlinkCluster, metric: str) -> int:
    """Return the sum of one metric over the subtasks, named as in Flink, `detect.sentinel.records`; 0 if there is none.

    Cheap enough to be asked several times a second.
    """
    found = 0.0
    for path in _vertices(cluster):
        for each in cluster.get(f"{path}/subtasks/metrics?get={quote(metric)}&agg=sum"):
            found += each["sum"]
    return round(found)


def sample(identifier: str, value: float) -> Sample:
    """Return the sample of a metric by its name in Flink: `0.detect.sentinel.reason.not_json.dead_letters`.

    That is subtask, operator, our group, then pairs of label and value, then the name.
    """
    place, _, ours = identifier.partition(f".{GROUP}.")
    subtask, _, operator = place.partition(".")
    *parts, name = ours.split(".")
    labels = dict(zip(parts[::2], parts[1::2], strict=True))
    return Sample(
        "_".join([PREFIX, GROUP, *labels, name]), {"operator_name": operator, "subtask_index": subtask} | labels, value
    )


def _vertices(cluster: FlinkCluster) -> Iterable[str]:
    jobs = cluster.get("/jobs/overview")["jobs"]
    running = [job["jid"] for job in jobs if job["name"] == DETECTION_JOB and job["state"] == _RUNNING]
    for job_id in running:
        for vertex in cluster.get(f"/jobs/{job_id}")["vertices"]:
            yield f"/jobs/{job_id}/vertices/{vertex['id']}"


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
