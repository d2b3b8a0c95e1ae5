"""Found: what the attributes of one item say, field by field, the best source of each."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from schemas.telemetry import COST_MAX, COUNT_MAX, MILLISECONDS_MAX
from udfs.normalise.mapping import ROWS, Row
from udfs.normalise.normalised import Fallback
from udfs.normalise.reading import READINGS, Reading, plain

LABEL_MAX: Final = 256
_HIGHEST: Final = {
    "count": COUNT_MAX,
    "seconds": MILLISECONDS_MAX,
    "milliseconds": MILLISECONDS_MAX,
    "dollars": COST_MAX,
}
_LABELS: Final = frozenset({"label", "first", "provider"})
_CONTROLS: Final = dict.fromkeys(range(0x20), "\N{REPLACEMENT CHARACTER}")


class _Source(Struct, frozen=True):
    field: str
    rank: int
    read: Reading
    highest: float | None
    is_label: bool
    fallback: Fallback | None


def _source(row: Row) -> _Source:
    return _Source(
        field=row.field,
        rank=row.rank,
        read=READINGS[row.reading],
        highest=_HIGHEST.get(row.reading),
        is_label=row.reading in _LABELS,
        fallback=Fallback(row.field, row.table) if row.is_fallback else None,
    )


_SOURCES: Final = {row.attribute: _source(row) for row in ROWS}


class Found:
    """Fields and their values; `odd` are values that could not be taken as they are, by attribute."""

    __slots__ = ("fallbacks", "fields", "odd", "others", "ranks")

    def __init__(self, earlier: "Found | None" = None) -> None:
        """Begin with what was found before, in the resource of an item."""
        self.fields: dict[str, Any] = {} if earlier is None else earlier.fields.copy()
        self.ranks: dict[str, int] = {} if earlier is None else earlier.ranks.copy()
        self.fallbacks: dict[str, Fallback] = {} if earlier is None else earlier.fallbacks.copy()
        self.odd: dict[str, Any] = {}
        self.others: list[KeyValue] = []

    def read(self, attributes: Iterable[KeyValue]) -> None:
        """Take the attributes in, in whatever order they come."""
        fields, ranks = self.fields, self.ranks
        for pair in attributes:
            source = _SOURCES.get(pair.key)
            if source is None:
                self.others.append(pair)
                continue
            field, rank = source.field, source.rank
            if field in ranks and ranks[field] <= rank:
                continue
            value = source.read(pair.value)
            if source.is_label:
                if value is not None and (len(value) > LABEL_MAX or not value.isprintable()):
                    value = self._fitting_label(pair.key, value)
            elif value is None or (source.highest is not None and not 0 <= value <= source.highest):
                value = self._nearest(pair, source, value)
            if value is None:
                continue
            fields[field], ranks[field] = value, rank
            if source.fallback is not None:
                self.fallbacks[field] = source.fallback
            elif self.fallbacks:
                self.fallbacks.pop(field, None)

    def _fitting_label(self, attribute: str, value: str) -> str:
        fitting = value.translate(_CONTROLS)[:LABEL_MAX]
        if fitting != value:
            self.odd[attribute] = fitting
        return fitting

    def _nearest(self, pair: KeyValue, source: _Source, value: float | None) -> float | None:
        """Return the limit for a value above it, None for one below or none at all, and keep what was reported."""
        reported = plain(pair.value)
        if reported is None or reported in ("", [], {}):
            return None
        self.odd[pair.key] = reported if isinstance(reported, int | float | bool) else type(reported).__name__
        return source.highest if value is not None and source.highest is not None and value > source.highest else None
