"""Published model: arrays fitted by training, swapped into the running job at a time of the events' own clock.

Kept in `sentinel.models`, compacted, under the key `model/<detector_id>`: the newest record of a detector holds.
"""

from math import prod
from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.anomaly import EntityType
from schemas.rule import Match
from schemas.time import Instant

ItemType = Literal["float64", "float32", "int64", "int32", "int16", "uint8", "bool"]
ITEM_BYTES: dict[ItemType, int] = {
    "float64": 8,
    "float32": 4,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of one item of each type."""

Fraction = Annotated[float, Meta(ge=0, le=1)]
Finite = Annotated[float, Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]


class PackedArray(Struct, frozen=True, kw_only=True):
    """One array: `values` are its items in C order, little endian; base64 on the wire.

    Raises ValueError (a refusal when decoding) if the bytes do not fill the shape exactly.
    """

    shape: tuple[Annotated[int, Meta(ge=0)], ...]
    dtype: ItemType
    values: bytes

    def __post_init__(self) -> None:
        """Hold shape and bytes together."""
        wanted = prod(self.shape) * ITEM_BYTES[self.dtype]
        if len(self.values) != wanted:
            msg = f"shape {list(self.shape)} of {self.dtype} takes {wanted} bytes, not {len(self.values)}"
            raise ValueError(msg)


class ModelScope(Struct, frozen=True, kw_only=True):
    """For which entities a model may be used: those of one type, narrowed by `match` (empty: all of them)."""

    entity: EntityType
    match: Match = Match()


class Training(Struct, frozen=True, kw_only=True):
    """What a model was fitted on, and how its raw scores were spread there.

    `score_quantiles` are pairs (probability in [0, 1], raw score), both ascending: what calibrates a raw score.
    """

    samples: Annotated[int, Meta(ge=0)]
    from_at_ms: Annotated[int, Meta(ge=0)]
    to_at_ms: Annotated[int, Meta(ge=0)]
    score_quantiles: tuple[tuple[Fraction, Finite], ...] = ()


class PublishedModel(Struct, frozen=True, kw_only=True):
    """One record of `sentinel.models`.

    `metrics` are the columns the model was fitted on, in order. A reader that does not know `kind`, or whose detector
    has other metrics, keeps the model it has and says so.
    """

    model_id: Annotated[str, Meta(min_length=1, max_length=256)]
    detector_id: Annotated[str, Meta(min_length=1, max_length=256)]
    kind: Literal["isolation_forest", "autoencoder"]
    version: Annotated[str, Meta(min_length=1, max_length=64)]
    """Goes into `detector_version` of the anomalies found with this model."""
    trained_at: Instant
    effective_at_ms: Annotated[int, Meta(ge=0)]
    """Event time from which observations are scored with this model; later than its writing."""
    scope: ModelScope
    metrics: Annotated[tuple[str, ...], Meta(min_length=1)]
    arrays: dict[str, PackedArray]
    training: Training
    schema_version: str = "1.0"


def model_key(detector_id: str) -> bytes:
    """Return the record key of a detector's model."""
    return f"model/{detector_id}".encode()
