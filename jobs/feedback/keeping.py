"""Where feedback is kept: the topic `sentinel.feedback`, or a file of JSON lines beside a backtest."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from jobs.backtest.telemetry import read_lines
from jobs.errors import SentinelError
from jobs.records import read_values, write_records
from jobs.topics import FEEDBACK
from schemas.codec import encode
from schemas.feedback import Feedback


def publish(bootstrap_servers: str, given: Iterable[Feedback]) -> None:
    """Write verdicts to the topic. Raises SentinelError unless Kafka has taken all of them."""
    write_records(bootstrap_servers, FEEDBACK.name, {each.anomaly_id.encode(): encode(each) for each in given})


def published(bootstrap_servers: str) -> list[Feedback]:
    """Return the verdicts of the topic, in order, without what is none; raises SentinelError if it cannot be read."""
    found = []
    for value in read_values(bootstrap_servers, FEEDBACK.name):
        try:
            found.append(msgspec.json.decode(value, type=Feedback))
        except msgspec.MsgspecError:
            continue
    return found


def append(path: Path, given: Iterable[Feedback]) -> None:
    """Add verdicts to a file; raises SentinelError if it cannot be written."""
    try:
        with path.open("ab") as file:
            file.writelines(encode(each) + b"\n" for each in given)
    except OSError as error:
        raise SentinelError(f"cannot write to {path}: {error.strerror}") from None


def read(path: Path) -> list[Feedback]:
    """Return the verdicts of a file, in order; raises SentinelError naming file, line and problem."""
    found = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            found.append(msgspec.json.decode(line, type=Feedback))
        except msgspec.MsgspecError as error:
            raise SentinelError(f"{path}, line {number} is no feedback ({error})") from None
    return found
