"""Report: an ongoing incident as the record that people and other processes read."""

from schemas.anomaly import Entity, EntityType
from schemas.incident import Incident, IncidentStatus
from schemas.time import from_at_ms
from udfs.correlation.cause import Cause, ranked_causes
from udfs.correlation.ongoing import MAX_PARTIES, Ongoing
from udfs.correlation.severity import severity_of
from udfs.correlation.witness import Concern, Place

MAX_CONTRIBUTORS = 20
FIRST_AT_MS, LAST_AT_MS = -62_135_596_800_000, 253_402_300_799_999
OTHERS = "others"
FAMILY_NAMES = {"load": "tokens, cost or calls"}


def incident_of(incident: Ongoing, open_score: float, critical_score: float, expires_at_ms: int) -> Incident:
    """Return the record of an incident's present state; `revision` is the one it has already counted."""
    causes = causes_of(incident)
    closed_at_ms = incident.closed_at_ms
    ids = dict.fromkeys((*incident.first_ids, *(each for _, each in incident.strongest_ids)))
    return Incident(
        incident_id=incident.incident_id,
        tenant_id=incident.tenant_id,
        scope=incident.scope,
        status=IncidentStatus.OPEN if closed_at_ms is None else IncidentStatus.CLOSED,
        severity=severity_of(incident.score, open_score, critical_score),
        severity_score=round(incident.score, 1),
        title=title_of(incident),
        description=description_of(incident),
        opened_at=text_of(incident.opened_at_ms),
        updated_at=text_of(max(incident.last_at_ms, closed_at_ms or incident.last_at_ms)),
        closed_at=None if closed_at_ms is None else text_of(closed_at_ms),
        expires_at=text_of(expires_at_ms),
        revision=incident.revision,
        anomaly_count=incident.count,
        anomaly_ids=tuple(ids),
        entities=tuple(entity_of(party.place, incident.tenant_id) for party in incident.parties.values()),
        detectors=strongest_first(incident.detectors),
        metrics=strongest_first(incident.metrics),
        contributors=contributors_of(incident),
        probable_cause=cause_text(incident, causes[0]) if causes else "",
        causes=weights_of(causes),
        trace_ids=incident.traces,
        parent_incident_id=incident.parent_incident_id,
    )


def text_of(at_ms: int) -> str:
    """Return an instant as text, held within the years that RFC 3339 can write."""
    return from_at_ms(min(max(at_ms, FIRST_AT_MS), LAST_AT_MS))


def entity_of(place: Place, tenant_id: str | None) -> Entity:
    """Return the entity at a place of a tenant."""
    return Entity(
        type=EntityType(place.type),
        id=place.id,
        name=place.name,
        tenant_id=tenant_id or "",
        application_id=place.application,
        provider=place.provider,
        model=place.model,
        user_id=place.user,
    )


def strongest_first(masses: dict[str, float]) -> tuple[str, ...]:
    """Return names by falling evidence."""
    return tuple(sorted(masses, key=lambda name: (-masses[name], name)))


def contributors_of(incident: Ongoing) -> dict[str, float]:
    """Return the share of the evidence by entity id, strongest first; what the 20 strongest leave is `others`."""
    total = sum(incident.masses.values())
    ranked = sorted(incident.parties.items(), key=lambda item: (-item[1].mass, item[0]))[:MAX_CONTRIBUTORS]
    shares = {entity_id: round(party.mass / total, 4) for entity_id, party in ranked}
    rest = round(1.0 - sum(shares.values()), 4)
    return {**shares, OTHERS: rest} if rest >= 0.001 else shares  # noqa: PLR2004 (less is rounding)


def concern_of_incident(incident: Ongoing) -> Concern:
    """Return the concern with the most evidence."""
    return Concern(strongest_first(incident.masses)[0])


def causes_of(incident: Ongoing) -> tuple[Cause, ...]:
    """Return the candidate causes of an incident, likeliest first."""
    return ranked_causes(incident.parties.values(), concern_of_incident(incident))


def weights_of(causes: tuple[Cause, ...]) -> dict[str, float]:
    """Return the causes' weights, scaled to a sum of 1."""
    total = sum(cause.weight for cause in causes)
    return {cause.scope: round(cause.weight / total, 4) for cause in causes}


def families_text(incident: Ongoing) -> str:
    """Return the families of metrics in plain words."""
    names = [FAMILY_NAMES.get(family, family) for family in incident.families]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def applications_text(incident: Ongoing) -> str:
    """Return how many applications take part, as far as they are counted; empty if none is known."""
    count = len({party.place.application for party in incident.parties.values()} - {""})
    if count == 0:
        return ""
    least = "at least " if len(incident.parties) == MAX_PARTIES else ""
    return f" in {least}{count} application{'' if count == 1 else 's'}"


def title_of(incident: Ongoing) -> str:
    """Return one line: what is affected, by what, how widely."""
    kind, _, name = incident.scope.partition(":")
    spread = "" if kind in {"application", "user"} else applications_text(incident)
    return f"{kind.capitalize()} {name}: unusual {families_text(incident)}{spread}"


def description_of(incident: Ongoing) -> str:
    """Return the evidence in two sentences."""
    entities = len(incident.parties)
    least = "at least " if entities == MAX_PARTIES else ""
    plural = "y" if entities == 1 else "ies"
    verb = "anomaly" if incident.count == 1 else "anomalies"
    metrics = ", ".join(strongest_first(incident.metrics)[:3])
    return (
        f"{incident.count} {verb} of {least}{entities} entit{plural} since {text_of(incident.opened_at_ms)}. "
        f"Strongest evidence: {metrics}, found by {', '.join(strongest_first(incident.detectors)[:3])}."
    )


def cause_text(incident: Ongoing, cause: Cause) -> str:
    """Return the likeliest cause with the reasons it was chosen for."""
    kind, _, name = cause.scope.partition(":")
    spread = f" over {cause.applications} applications" if cause.applications > 1 else ""
    return (
        f"{kind} {name}: {families_text(incident)} unusual since {text_of(cause.onset_ms)}, "
        f"{cause.share:.0%} of the evidence{spread}"
    )
