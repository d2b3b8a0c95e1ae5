"""Findings: what detection has to say about one batch of records."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from schemas.anomaly import Anomaly
from schemas.dead_letter import DeadLetter
from schemas.summary import Summary


class SplitApplication(NamedTuple):
    """An application whose events are in two partitions, so that each has a baseline of a part of them."""

    tenant: str
    application: str
    first: int
    second: int


class Findings(Struct):
    """Filled by a shard while it works through a batch, then handed to the streams behind it."""

    anomalies: list[Anomaly] = []
    dead_letters: list[DeadLetter] = []
    late: list[tuple[str, bytes]] = []
    """`topic-partition-offset` and the record's bytes."""
    repeats: int = 0
    """Events left out because their id was there before."""
    summaries: list[Iterator[Summary]] = []
    """Of each kind of window and of entity; a summary is made when it is read, and can be read once."""
    shares: list[str] = []
    """Parts of windows that span shards, and the shard's progress, as `udfs.spanning` reads them."""
    split: list[SplitApplication] = []
    watermark_ms: int | None = None
    """Set when event time has come far enough to tell others."""
