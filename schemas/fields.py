"""Fields of a struct by what their values are: read once from the types, so that codecs cannot differ from them."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import cast

from msgspec import Struct, inspect


def alternatives(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return the types a field may have, null left out."""
    bare = kind.type if isinstance(kind, inspect.Metadata) else kind
    parts = bare.types if isinstance(bare, inspect.UnionType) else (bare,)
    found = (part.type if isinstance(part, inspect.Metadata) else part for part in parts)
    return tuple(part for part in found if not isinstance(part, inspect.NoneType))


def is_nullable(kind: inspect.Type) -> bool:
    """Return whether a field may be null."""
    return isinstance(kind, inspect.UnionType) and any(isinstance(part, inspect.NoneType) for part in kind.types)


def is_instant(kind: inspect.Type) -> bool:
    """Return whether a field holds a point in time as text, or null."""
    parts = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return any(isinstance(part, inspect.Metadata) and _is_date_time(part) for part in parts)


def fields_of(kind: type[Struct]) -> tuple[inspect.Field, ...]:
    """Return the fields of a struct in their order."""
    return cast("inspect.StructType", inspect.type_info(kind)).fields


@cache
def labels(kind: type[Struct]) -> tuple[str, ...]:
    """Return the names of the fields that hold a text of bounded length."""
    return tuple(_having(kind, lambda part: isinstance(part, inspect.StrType) and part.max_length is not None))


@cache
def counts(kind: type[Struct]) -> tuple[str, ...]:
    """Return the names of the fields that hold a whole number."""
    return tuple(_having(kind, lambda part: isinstance(part, inspect.IntType)))


@cache
def structs(kind: type[Struct]) -> tuple[str, ...]:
    """Return the names of the fields that hold another struct."""
    return tuple(_having(kind, lambda part: isinstance(part, inspect.StructType)))


def _is_date_time(kind: inspect.Metadata) -> bool:
    return (kind.extra_json_schema or {}).get("format") == "date-time"


def _having(kind: type[Struct], wanted: Callable[[inspect.Type], bool]) -> Iterator[str]:
    return (field.name for field in fields_of(kind) if any(wanted(part) for part in alternatives(field.type)))
