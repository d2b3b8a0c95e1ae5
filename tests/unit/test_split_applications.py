"""Split applications: whoever produces to two partitions is told so: each has a baseline of a part of the calls."""

from msgspec.structs import replace

from schemas.codec import encode
from tests.calls import START_AT_MS, call
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.findings import Findings, SplitApplication
from udfs.record_block import block_of
from udfs.settings import DetectionSettings
from udfs.spanning import SpanningDetection

SETTINGS = DetectionSettings(partitions=2)


def shares(partition: int, *applications: str) -> list[str]:
    """Return what a shard contributes of a call of each application, ten seconds apart, and twice."""
    shard = ShardDetection(SETTINGS, Control({}), partition)
    found: list[str] = []
    for i in range(2 * len(applications)):
        event = replace(call(i, START_AT_MS + 10_000 * i, 0, 100.0), application_id=applications[i % len(applications)])
        found += shard.on_records(block_of([encode(event)], [i])).shares
    return found


def told(*texts: str) -> list[SplitApplication]:
    """Return what is told of when shares come in this order."""
    spanning = SpanningDetection(SETTINGS, Control({}))
    found: list[Findings] = [spanning.on_share(text) for text in texts]
    return [each for findings in found for each in findings.split]


def test_an_application_in_two_partitions_is_told_of_once() -> None:
    [split] = told(*shares(0, "checkout", "search"), *shares(1, "search", "billing"))
    assert (split.application, split.first, split.second) == ("search", 0, 1)


def test_applications_in_one_partition_are_not_told_of() -> None:
    assert told(*shares(0, "checkout", "search"), *shares(1, "billing")) == []
    # A shard that begins again, with its state or without, is the same one.
    assert told(*shares(0, "checkout"), *shares(0, "checkout")) == []
