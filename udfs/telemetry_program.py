"""Telemetry program: the telemetry schema as tables, which kernels follow to read events into columns.

The JSON kernel looks fields up by their names, the Avro kernel takes them in their order, which is that of the bytes.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct, inspect
from numpy.typing import NDArray

from schemas.fields import alternatives, fields_of, is_instant, is_nullable
from schemas.telemetry import COST_MAX, COUNT_MAX, MILLISECONDS_MAX, TelemetryEvent
from udfs.kernels import Floats, Integers

Octets = NDArray[np.uint8]

TEXT, COUNT, NUMBER, BOOLEAN, CHOICE, INSTANT, SCOPE, TEXTS_BY_NAME, OBJECT = range(9)
"""Kinds of fields. A choice is a text of a closed set, a scope another struct; the last two are maps, of texts and of
whatever JSON can say."""
IN, NAME_FROM, NAME_TO, KIND, NULLABLE, BIT, LEAST, SLOT, INSIDE, BEHIND = range(10)
"""Columns of a field: the scope it is in; where its name lies in `names`; its kind; 1 if null is allowed; its number in
its scope; the least length of a text; the column its value goes to, -1 for none; the scope it opens, or its first
choice; the field behind it and all it holds."""

NUMBERS: Final = tuple(
    ("data", name) for name in ("latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "cost")
)
"""Paths of the numbers that are read, in the order of their columns: `udfs.aggregates.EVENT_METRICS`."""
NUMBER_LIMITS: Final = (MILLISECONDS_MAX, MILLISECONDS_MAX, COUNT_MAX, COUNT_MAX, COST_MAX)
"""The largest values that they may have."""
TEXTS: Final = (
    ("data", "provider"),
    ("data", "model"),
    ("tenant_id",),
    ("application_id",),
    ("metadata", "user_id"),
    ("data", "error_type"),
    ("data", "finish_reason"),
    ("data", "guardrail", "verdict"),
    ("event_id",),
)
"""Paths of the texts that are read, in the order of their columns."""
PROVIDER, MODEL, TENANT, APPLICATION, USER, ERROR_TYPE, FINISH_REASON, GUARDRAIL, EVENT_ID = range(len(TEXTS))
CODES: Final = (("event_type",), ("data", "status"))
"""Paths of the choices that are read, in the order of their columns."""
EVENT_TYPE, STATUS = range(len(CODES))

BUCKETS: Final = 1024
"""Places of the table in which fields are looked up by scope and name; a power of two."""


class TelemetryProgram(NamedTuple):
    """What the kernels follow."""

    fields: Integers
    limits: Floats
    """Largest value of a number, largest length of a text; infinity where there is none."""
    names: Octets
    buckets: Integers
    """Field by hash of scope and name, -1 for none; the next place is tried when another field has it."""
    required: Integers
    """One bit for each field that a scope must have."""
    choices: Integers
    """Where each choice lies in `names`; choices of one field follow one another up to one of length 0."""


@cache
def telemetry_program() -> TelemetryProgram:
    """Return the program that reads telemetry events."""
    rows, limits, required, choices = list[list[int]](), list[float](), list[int](), list[tuple[int, int]]()
    names = bytearray()

    def place(text: str) -> tuple[int, int]:
        names.extend(text.encode())
        return len(names) - len(text), len(names)

    def add_scope(struct: type[Struct], path: tuple[str, ...]) -> int:
        scope = len(required)
        required.append(0)
        for bit, field in enumerate(fields_of(struct)):
            here = (*path, field.name)
            plain = alternatives(field.type)[0]
            kind, nullable = _kind(field.type), int(is_nullable(field.type))
            row = [scope, *place(field.name), kind, nullable, bit, 0, _slot(here), -1, 0]
            rows.append(row)
            limits.append(_limit(plain))
            required[scope] |= int(field.required) << bit
            if isinstance(plain, inspect.StructType):
                row[INSIDE] = add_scope(plain.cls, here)
            elif isinstance(plain, inspect.EnumType):
                row[INSIDE] = len(choices)
                choices.extend([*(place(each.value) for each in plain.cls), (0, 0)])
            elif isinstance(plain, inspect.StrType):
                row[LEAST] = plain.min_length or 0
            row[BEHIND] = len(rows)
        return scope

    add_scope(TelemetryEvent, ())
    text = bytes(names)
    buckets = np.full(BUCKETS, -1, dtype=np.int64)
    for number, row in enumerate(rows):
        at = bucket_of(row[IN], text[row[NAME_FROM] : row[NAME_TO]])
        while buckets[at] >= 0:
            at = (at + 1) % BUCKETS
        buckets[at] = number
    return TelemetryProgram(
        fields=np.array(rows, dtype=np.int64),
        limits=np.array(limits),
        names=np.frombuffer(text, dtype=np.uint8),
        buckets=buckets,
        required=np.array(required, dtype=np.int64),
        choices=np.array(choices, dtype=np.int64),
    )


def bucket_of(scope: int, name: bytes) -> int:
    """Return the place at which a field is looked for first; the kernel computes the same."""
    place = scope
    for octet in name:
        place = (place * 31 + octet) & (BUCKETS - 1)
    return place


def _limit(kind: inspect.Type) -> float:
    most = kind.max_length if isinstance(kind, inspect.StrType) else getattr(kind, "le", None)
    return float("inf") if most is None else float(most)


def _kind(kind: inspect.Type) -> int:
    if is_instant(kind):
        return INSTANT
    for wanted, number in (
        (inspect.StrType, TEXT),
        (inspect.IntType, COUNT),
        (inspect.FloatType, NUMBER),
        (inspect.BoolType, BOOLEAN),
        (inspect.EnumType, CHOICE),
        (inspect.StructType, SCOPE),
    ):
        if isinstance(alternatives(kind)[0], wanted):
            return number
    match alternatives(kind)[0]:
        case inspect.DictType(value_type=inspect.StrType()):
            return TEXTS_BY_NAME
        case inspect.DictType(value_type=inspect.CustomType() | inspect.AnyType()):
            return OBJECT
    raise NotImplementedError(f"no kernel reads {kind}")


def _slot(path: tuple[str, ...]) -> int:
    for wanted in (NUMBERS, TEXTS, CODES):
        if path in wanted:
            return wanted.index(path)
    return -1
