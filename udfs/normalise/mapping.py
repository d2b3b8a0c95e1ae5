"""Mapping: which field of our envelope an attribute fills, read from the tables beside this file.

Each file of `tables` describes one generation of conventions or one instrumentation, a row per source attribute.
Attributes are looked up one by one, so that a sender may mix them. Where several fill one field, the table that comes
first in `PRECEDENCE` wins, and within a table the row that comes first. A name that ends in `*` stands for all that
begin like it. A row without a field and a reading is content that is never kept.
"""

import csv
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from msgspec import Struct

MAPPING_VERSION: Final = "1"
"""Goes up when a row changes what it means; a table that is added changes nothing for those who had none of it."""

PRECEDENCE: Final = (
    "langfuse",
    "otel-genai-c",
    "otel-genai-b",
    "otel-common",
    "otel-genai-a",
    "openinference",
    "openllmetry",
    "openlit",
    "litellm",
    "vercel-ai",
)
"""Tables that hold for all attributes, the strongest first: what was said on purpose, then what is newest."""
CLAUDE_CODE: Final = "claude-code"
"""A table of plain words, which holds only for that program's log records."""

_TODAY: Final = frozenset({"otel-genai-c", "otel-genai-b", "otel-common", CLAUDE_CODE})


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
        """Whether OpenTelemetry has a newer name for it."""
        return self.table not in _TODAY


@cache
def rows(*tables: str) -> tuple[Row, ...]:
    """Return the rows of tables, in the order of precedence."""
    found = enumerate((table, line) for table in tables for line in _lines(table))
    return tuple(
        Row(attribute=line["attribute"], table=table, field=line["field"], reading=line["reading"], rank=rank)
        for rank, (table, line) in found
    )


@cache
def operations() -> Mapping[str, tuple[str, bool]]:
    """Return what each operation is called by us, and whether it is a call, by its name in lower case."""
    return {line["name"].lower(): (line["operation"], line["is_call"] == "yes") for line in _lines("operations")}


@cache
def providers() -> Mapping[str, str]:
    """Return what each provider is called by us, by its name in lower case."""
    return {line["name"]: line["provider"] for line in _lines("providers")}


@cache
def price_lists() -> Mapping[str, tuple[str, ...]]:
    """Return whose price lists hold for a provider, by our name of it: `*` is the list of the model's maker."""
    return {line["provider"]: tuple(line["price_list"].split()) for line in _lines("providers")}


def _lines(table: str) -> Iterator[dict[str, str]]:
    text = (resources.files("udfs.normalise") / "tables" / f"{table}.csv").read_text(encoding="utf-8")
    yield from csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


@lru_cache(maxsize=4_096)
def metric_named(name: str) -> tuple[str, str] | None:
    """Return our name of a metric and the unit it has if it does not say, or None if it is not of language models."""
    exact, prefixes = _metrics()
    if name in exact:
        return exact[name]
    return next(((name, unit) for prefix, unit in prefixes if name.startswith(prefix)), None)


@cache
def _metrics() -> tuple[dict[str, tuple[str, str]], list[tuple[str, str]]]:
    lines = list(_lines("metrics"))
    exact = {line["name"]: (line["metric_name"] or line["name"], line["unit"]) for line in lines}
    return exact, [(line["name"][:-1], line["unit"]) for line in lines if line["name"].endswith("*")]
