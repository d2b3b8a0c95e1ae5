"""Identity: identifiers that are functions of content, so that replays, restarts and repeats give the same ones."""

from hashlib import blake2b
from typing import Final

_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 0x3] for digit in "0123456789abcdef"}
"""The first two bits of this digit are those of RFC 9562."""


def digest(*parts: str) -> str:
    """Return a UUID text (version 8) of texts; no two different lists of parts give the same input to the hash."""
    encoded = [part.encode() for part in parts]
    text = blake2b(b"".join([len(each).to_bytes(4, "big") + each for each in encoded]), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:]}"


def anomaly_id(detector_id: str, entity_id: str, metric: str, evidence: str) -> str:
    """Return the id of an anomaly; `evidence` is an event id, or a window as `<level>@<end in ms>`."""
    return digest("anomaly", detector_id, entity_id, metric, evidence)


def fingerprint(detector_id: str, entity_id: str, metric: str) -> str:
    """Return what all anomalies of one detector, entity and metric have in common."""
    return digest("fingerprint", detector_id, entity_id, metric)


def incident_id(tenant_id: str, scope: str, bucket: int) -> str:
    """Return the id of an incident that opened in a bucket of time; the empty tenant is the operators'."""
    return digest("incident", tenant_id, scope, str(bucket))
