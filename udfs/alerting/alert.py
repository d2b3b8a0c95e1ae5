from msgspec import Struct

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211


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
    value = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            value = ((value ^ byte) * _FNV_PRIME) & 0xFFFF_FFFF_FFFF_FFFF
    return f"{value:016x}"
