"""Mapping: which field of our envelope an attribute fills, read from the tables beside this file.

Each file of `tables` describes one generation of conventions or one instrumentation, a row per source attribute.
Attributes are looked up one by one, so that a sender may mix them. Where several fill one field, the table that comes
first in `TABLES` wins, and within a table the row that comes first. An attribute that ends in `*` stands for all that
begin like it.
"""

import csv
from collections.abc import Iterator
from importlib import resources
from typing import Final

from msgspec import Struct

TABLES: Final = (
    "otel-genai-b",
    "otel-genai-a",
    "otel-common",
)
"""In the order of precedence."""

OWN: Final = frozenset({"otel-genai-c", "otel-genai-b", "otel-common"})
"""Tables whose names are today's: what they fill is no fallback."""


class Row(Struct, frozen=True, kw_only=True):
    """One source attribute."""

    attribute: str
    table: str
    field: str
    reading: str
    """How the value is read: its unit and form, by the name of a function of `reading`."""
    rank: int
    """Rows of a lower rank win."""

    @property
    def is_fallback(self) -> bool:
        """Whether another name is what people are asked to send."""
        return self.table not in OWN


def _rows() -> Iterator[Row]:
    folder = resources.files("udfs.normalise") / "tables"
    rank = 0
    for table in TABLES:
        lines = (folder / f"{table}.csv").read_text().splitlines()
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            rank += 1
            yield Row(attribute=row["attribute"], table=table, field=row["field"], reading=row["reading"], rank=rank)


ROWS: Final = tuple(_rows())
