"""Score of a run: for every planted fault whether, when and how it was found, and what was told without a cause."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from jobs.replay.truth import PlantedFault
from jobs.score.evidence import is_consequence, is_sign
from schemas.anomaly import SEVERITY_RANK, Anomaly, Severity
from schemas.incident import Incident
from schemas.time import to_at_ms

LEAST_PRECISION = 0.95
LEAST_SHARE = 0.5
"""An incident is about a fault if at least this share of its anomalies is explained by planted faults."""


class Finding(Struct, frozen=True, kw_only=True):
    """What became of one planted fault."""

    fault: PlantedFault
    delay_ms: int | None
    """Event time from the fault's start to the first anomaly that shows it; None if there is none."""
    incident: Incident | None
    """The most severe incident that holds such an anomaly, the earliest of equals; None if there is none."""

    @property
    def is_found(self) -> bool:
        """Whether there is an incident: an anomaly alone is a hint that nobody is told of."""
        return self.incident is not None

    @property
    def severity(self) -> Severity | None:
        """Severity of the incident, None if there is none."""
        return None if self.incident is None else self.incident.severity


class Score(Struct, frozen=True, kw_only=True):
    """A run held against the truth. An alarm is an incident; anomalies are what alarms are made of."""

    findings: tuple[Finding, ...]
    """In the order of the faults' starts."""
    incidents: int
    false_incidents: tuple[Incident, ...]
    """Those most of whose anomalies no planted fault explains."""
    anomalies: int
    stray_anomalies: tuple[Anomaly, ...]
    """Those that no planted fault explains."""

    @property
    def precision(self) -> float:
        """Share of the incidents that are about a planted fault, in [0, 1]; 1 if there are none."""
        return 1.0 - len(self.false_incidents) / self.incidents if self.incidents else 1.0

    @property
    def false_criticals(self) -> int:
        """False incidents that are critical."""
        return sum(each.severity is Severity.CRITICAL for each in self.false_incidents)

    @property
    def is_passed(self) -> bool:
        """Whether every planted critical fault was found, at a precision of 95 %, and nothing critical was false."""
        missed = [each for each in self.findings if each.fault.severity is Severity.CRITICAL and not each.is_found]
        return not missed and self.precision >= LEAST_PRECISION and not self.false_criticals


def score(planted: Iterable[PlantedFault], anomalies: Iterable[Anomaly], incidents: Iterable[Incident]) -> Score:
    """Return the score of what was told; repeats of an id are told once, and of an incident the newest state holds."""
    faults = sorted(planted, key=lambda fault: (fault.start_at_ms, fault.fault_id))
    by_id = {each.anomaly_id: each for each in anomalies}
    newest: dict[str, Incident] = {}
    for incident in incidents:
        known = newest.get(incident.incident_id)
        if known is None or incident.revision >= known.revision:
            newest[incident.incident_id] = incident
    strays = {key: each for key, each in by_id.items() if not any(is_consequence(fault, each) for fault in faults)}
    false = [each for each in newest.values() if not _is_about_faults(each, by_id, strays)]
    true = [each for each in newest.values() if each not in false]
    return Score(
        findings=tuple(_finding(fault, by_id, true) for fault in faults),
        incidents=len(newest),
        false_incidents=tuple(sorted(false, key=lambda each: (each.opened_at, each.incident_id))),
        anomalies=len(by_id),
        stray_anomalies=tuple(sorted(strays.values(), key=lambda each: (each.timestamp, each.anomaly_id))),
    )


def _is_about_faults(incident: Incident, by_id: dict[str, Anomaly], strays: dict[str, Anomaly]) -> bool:
    held = [each for each in incident.anomaly_ids if each in by_id]
    explained = [each for each in held if each not in strays]
    return bool(held) and len(explained) >= LEAST_SHARE * len(held)


def _finding(fault: PlantedFault, by_id: dict[str, Anomaly], incidents: Sequence[Incident]) -> Finding:
    signs = {key: to_at_ms(each.timestamp) for key, each in by_id.items() if is_sign(fault, each)}
    holding = [each for each in incidents if not signs.keys().isdisjoint(each.anomaly_ids)]
    return Finding(
        fault=fault,
        delay_ms=min(signs.values()) - fault.start_at_ms if signs else None,
        incident=min(
            holding, key=lambda each: (-SEVERITY_RANK[each.severity], each.opened_at, each.incident_id), default=None
        ),
    )
