from collections.abc import Sequence

import numpy as np
from msgspec import Struct

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_FNV_PRIME_64 = np.uint64(_FNV_PRIME)
_MANY = 32
"""From so many label sets on arrays are quicker than a loop over the bytes of each."""
_LONGEST = 2_048
"""Bytes of the label sets that are put side by side."""


class Alert(Struct, frozen=True, kw_only=True):
    """What asks for attention, firing from its start to its end; its labels say which one it is."""

    labels: dict[str, str]
    starts_at_ms: int
    updated_at_ms: int
    """When its sender last spoke of it."""
    ends_at_ms: int | None = None
    """None is unknown: it ends when its sender has been silent for the resolve time-out."""
    times_out: bool = False
    """Whether dispatch has set the end, because the sender did not; the next word of the sender moves it."""
    annotations: dict[str, str] = {}
    generator_url: str = ""

    def is_resolved(self, now_ms: int) -> bool:
        """Return whether it has ended."""
        return self.ends_at_ms is not None and self.ends_at_ms <= now_ms


def fingerprint(labels: dict[str, str]) -> str:
    """Return 16 hexadecimal digits that identify a label set, the same as Alertmanager's.

    FNV-1a of 64 bits over names and values in order of names, each followed by the byte 255. Source: prometheus/common,
    `model.LabelSet.Fingerprint`.
    """
    return _fnv(_hashed(labels))


def fingerprints(label_sets: Sequence[dict[str, str]]) -> list[str]:
    """Return the fingerprint of each label set; many at once cost a fraction of what they cost one by one."""
    texts = [_hashed(labels) for labels in label_sets]
    # The longest first, so that those that still have a byte at a place are the first ones.
    together = sorted((each for each, text in enumerate(texts) if len(text) <= _LONGEST), key=lambda i: -len(texts[i]))
    if len(together) < _MANY:
        return [_fnv(text) for text in texts]
    lengths = np.array([len(texts[each]) for each in together])
    longest = int(lengths[0])
    padded = b"".join([texts[each].ljust(longest, b"\0") for each in together])
    columns = np.ascontiguousarray(np.frombuffer(padded, np.uint8).reshape(len(together), longest).T)
    left = np.searchsorted(-lengths, -np.arange(longest), side="left").tolist()
    values = np.full(len(together), _FNV_OFFSET, np.uint64)
    for column, number in zip(columns, left, strict=True):
        some = values[:number]
        some ^= column[:number]
        some *= _FNV_PRIME_64
    found = dict(zip(together, values.tolist(), strict=True))
    return [f"{found[each]:016x}" if each in found else _fnv(text) for each, text in enumerate(texts)]


def _hashed(labels: dict[str, str]) -> bytes:
    return b"".join([name.encode() + b"\xff" + labels[name].encode() + b"\xff" for name in sorted(labels)])


def _fnv(text: bytes) -> str:
    value = _FNV_OFFSET
    for byte in text:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFF_FFFF_FFFF_FFFF
    return f"{value:016x}"
