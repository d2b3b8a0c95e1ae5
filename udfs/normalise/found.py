"""Found: what the attributes of one item say, field by field, the best source of each."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from schemas.telemetry import COST_MAX, COUNT_MAX, MILLISECONDS_MAX
from udfs.normalise.mapping import CLAUDE_CODE, PRECEDENCE, Row, rows
from udfs.normalise.messages import said_in_parts
from udfs.normalise.normalised import Fallback
from udfs.normalise.reading import READINGS, SEVERAL, label, plain, text

LABEL_MAX: Final = 256
"""Characters of a label."""
_HIGHEST: Final = {
    "count": COUNT_MAX,
    "seconds": MILLISECONDS_MAX,
    "milliseconds": MILLISECONDS_MAX,
    "dollars": COST_MAX,
    "cost_details": COST_MAX,
}
_LABELS: Final = frozenset({"label", "first", "provider", "verdict"})
CONTROLS: Final = dict.fromkeys(range(0x20), "\N{REPLACEMENT CHARACTER}")
"""What a label may not hold, and what takes its place."""
_OF_RESOURCES: Final = frozenset({"service", "version", "host", "environment", "user_id", "session_id"})
"""Fields that a resource may fill for all its items; what tells a call is the call's own."""


class Source(NamedTuple):
    """A row of the mapping, ready for use."""

    field: str
    rank: int
    read: Any
    """Function from the OTLP value to ours; None for a row that needs more than that."""
    highest: float | None
    is_label: bool
    fallback: Fallback | None
    reading: str
    prefix: str
    """What the attributes begin with, of a row for several."""


def _source(row: Row) -> Source:
    return Source(
        field=row.field,
        rank=row.rank,
        read=READINGS.get(row.reading),
        highest=_HIGHEST.get(row.reading),
        is_label=row.reading in _LABELS,
        fallback=Fallback(row.field, row.table) if row.is_fallback else None,
        reading=row.reading,
        prefix=row.attribute.removesuffix("*"),
    )


class Sources:
    """The rows of some tables by attribute."""

    def __init__(self, *tables: str) -> None:
        """Take the tables in the order of precedence."""
        every = [(row.attribute, _source(row)) for row in rows(*tables)]
        self.exact: Final[Mapping[str, Source]] = {name: source for name, source in every if not name.endswith("*")}
        prefixes = {name[:-1]: source for name, source in every if name.endswith("*")}
        starts = tuple(prefixes)

        @lru_cache(maxsize=4_096)
        def prefixed(key: str) -> Source | None:
            if not key.startswith(starts):
                return None
            return next(source for prefix, source in prefixes.items() if key.startswith(prefix))

        self.prefixed = prefixed


EVERYONE: Final = Sources(*PRECEDENCE)
OF_CLAUDE_CODE: Final = Sources(CLAUDE_CODE, "otel-common")


class Found:
    """Fields and their values, of one item.

    `ranks` is by which row each was filled; `odd` are values that could not be taken as they are, by attribute;
    `others` are attributes that no row names.
    """

    __slots__ = ("_parts", "fallbacks", "fields", "odd", "others", "ranks")

    def __init__(self, resource: "Found | None" = None) -> None:
        """Begin with what the item's resource says."""
        self.fields: dict[str, Any] = {} if resource is None else resource.fields.copy()
        self.ranks: dict[str, int] = {} if resource is None else resource.ranks.copy()
        self.fallbacks: dict[str, Fallback] = {}
        self.odd: dict[str, Any] = {}
        self.others: list[KeyValue] = []
        self._parts: dict[int, tuple[Source, list[tuple[str, str]]]] = {}

    def read(self, attributes: Iterable[KeyValue], sources: Sources = EVERYONE) -> None:  # noqa: C901 - the hot loop
        """Take attributes in, in whatever order they come."""
        exact, prefixed, fields, ranks = sources.exact, sources.prefixed, self.fields, self.ranks
        for pair in attributes:
            key = pair.key
            source = exact.get(key) or prefixed(key)
            if source is None:
                self.others.append(pair)
                continue
            field, rank, read, highest, is_label, fallback, _, _ = source
            if read is None:
                self._read_special(key, pair.value, source)
                continue
            # A weaker source is read all the same, or what is odd in it would depend on the order; not so texts.
            is_weaker = field in ranks and ranks[field] < rank
            if is_weaker and read is text:
                continue
            value = read(pair.value)
            if is_label:
                if value is not None and (len(value) > LABEL_MAX or not value.isprintable()):
                    value = self._fitting(key, value)
            elif value is None:
                if read is not text:
                    self._note(key, plain(pair.value))
            elif highest is not None and not 0 <= value <= highest:
                self._note(key, value)
                value = highest if value > 0 else None
            if value is not None and not is_weaker:
                fields[field], ranks[field] = value, rank
                if fallback is not None:
                    self.fallbacks[field] = fallback
                elif self.fallbacks:
                    self.fallbacks.pop(field, None)

    def offer(self, field: str, value: Any) -> None:
        """Fill a field that no attribute has filled."""
        if value is not None and field not in self.fields:
            self.fields[field] = value

    def keep_of_resource(self) -> "Found":
        """Leave only what a resource may say of all its items."""
        self.fields = {field: value for field, value in self.fields.items() if field in _OF_RESOURCES}
        return self

    def join_parts(self) -> None:
        """Put flattened messages together, once all attributes are read."""
        for source, parts in self._parts.values():
            said = said_in_parts(parts)
            if said and not self.ranks.get(source.field, source.rank + 1) < source.rank:
                self.fields[source.field], self.ranks[source.field] = said, source.rank
                if source.fallback is not None:
                    self.fallbacks[source.field] = source.fallback

    def _read_special(self, key: str, value: AnyValue, source: Source) -> None:
        """Take in several fields at once, a part of a message, a tag, or nothing of what is never kept."""
        if source.reading in SEVERAL:
            for field, each in SEVERAL[source.reading](value).items():
                if each is None:
                    continue
                if each < 0 or each > COUNT_MAX:
                    self._note(key, each)
                    continue
                if self.ranks.get(field, source.rank) < source.rank:
                    continue
                self.fields[field], self.ranks[field] = each, source.rank
                if source.fallback is not None:
                    self.fallbacks[field] = Fallback(field, source.fallback.table)
        elif source.reading == "parts":
            if said := value.string_value:
                self._parts.setdefault(source.rank, (source, []))[1].append((key, said))
        elif source.reading == "tag" and (tag := label(value)):
            self.fields.setdefault("tags", {})[key[len(source.prefix) :][:LABEL_MAX]] = tag[:LABEL_MAX]

    def _fitting(self, key: str, value: str) -> str:
        fitting = value.translate(CONTROLS)[:LABEL_MAX]
        if fitting != value:
            self.odd[key] = "cut or cleaned"
        return fitting

    def _note(self, key: str, reported: Any) -> None:
        """Keep what was reported where it says something, numbers as they are, of everything else only its kind."""
        if reported is None or reported in ("", [], {}):
            return
        if not isinstance(reported, int | float):
            reported = f"a {type(reported).__name__}"
        elif not isfinite(reported):
            reported = str(reported)
        self.odd[key[:LABEL_MAX]] = reported
