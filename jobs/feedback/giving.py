"""Giving feedback: the anomaly that is meant, and the verdict on it."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from jobs.errors import SentinelError
from schemas.anomaly import Anomaly
from schemas.feedback import Feedback
from schemas.time import from_at_ms


def meant(values: Iterable[bytes], given: str, where: str) -> Anomaly:
    """Return the anomaly whose id is given, or whose id alone begins so, among records of anomalies.

    Raises SentinelError if there is none or several. A record that is no anomaly is passed over.
    """
    found: dict[str, Anomaly] = {}
    wanted = given.encode()
    for value in values:
        if wanted not in value:
            continue
        try:
            anomaly = msgspec.json.decode(value, type=Anomaly)
        except msgspec.MsgspecError:
            continue
        if anomaly.anomaly_id.startswith(given):
            found[anomaly.anomaly_id] = anomaly
    if given in found:
        return found[given]
    if not found:
        raise SentinelError(f"{where} holds no anomaly {given!r}; give its anomaly_id, or how that begins")
    if len(found) > 1:
        raise SentinelError(f"{where} holds {len(found)} anomalies whose ids begin with {given!r}; give more of it")
    return next(iter(found.values()))


def verdict_on(
    anomaly: Anomaly, verdict: Literal["true", "false"], *, note: str, given_by: str, now_ms: int
) -> Feedback:
    """Return the record of a verdict; raises SentinelError if the note is too long."""
    try:
        return msgspec.convert(
            {
                "anomaly_id": anomaly.anomaly_id,
                "verdict": verdict,
                "given_at": from_at_ms(now_ms),
                "note": note,
                "given_by": given_by,
                "timestamp": anomaly.timestamp,
                "detector_id": anomaly.detector_id,
                "detector_version": anomaly.detector_version,
                "tenant_id": anomaly.tenant_id,
                "entity_id": anomaly.affected_entity.id,
                "metric": anomaly.metric,
                "severity": anomaly.severity,
                "raw_score": anomaly.raw_score,
            },
            Feedback,
        )
    except msgspec.ValidationError as error:
        raise SentinelError(f"the verdict on {anomaly.anomaly_id} cannot be written: {error}") from None
