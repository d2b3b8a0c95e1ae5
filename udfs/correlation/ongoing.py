"""Ongoing incident: what is kept of it so that it can grow, be folded into another and be reported."""

from math import log

from msgspec import Struct
from msgspec.structs import replace

from udfs.correlation.cause import Party
from udfs.correlation.severity import MAX_WITNESSES, conviction, severity_score, strongest
from udfs.correlation.witness import Witness, joined, union

MAX_FIRST = 25
MAX_STRONGEST = 25
MAX_PARTIES = 50
MAX_NAMES = 20
MAX_TRACES = 20
REPEAT_MASS = 0.1

Ranked = tuple[tuple[float, str], ...]
"""(negative strength, anomaly id), strongest first."""


class Ongoing(Struct, frozen=True, array_like=True):
    """One incident, open or just closed; about 12 kB encoded at its largest with names of usual length.

    `score` is the peak: it never falls while the incident lives, so that its severity does not flap.
    `emitted_at_ms` is the event time of the last state that was put out; `is_dirty` says there is news since.
    """

    incident_id: str
    tenant_id: str | None
    scope: str
    opened_at_ms: int
    last_at_ms: int
    score: float = 0.0
    count: int = 0
    witnesses: tuple[Witness, ...] = ()
    parties: dict[str, Party] = {}
    first_ids: tuple[str, ...] = ()
    strongest_ids: Ranked = ()
    masses: dict[str, float] = {}
    """Evidence by concern."""
    metrics: dict[str, float] = {}
    detectors: dict[str, float] = {}
    families: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    revision: int = 0
    emitted_at_ms: int = 0
    is_dirty: bool = False
    parent_incident_id: str | None = None
    closed_at_ms: int | None = None


def grown(incident: Ongoing, witness: Witness) -> Ongoing:
    """Return an incident with one more witness, or with one of its witnesses confirmed.

    Information counts, but keeps no incident alive.
    """
    first_ms, last_ms = witness.first_at_ms, witness.last_at_ms
    if witness.is_info:
        first_ms, last_ms = incident.opened_at_ms, incident.last_at_ms
    is_repeat = heard(incident, witness)
    mass = -log(1.0 - witness.strength) * (REPEAT_MASS if is_repeat else 1.0)
    metric = witness.metric or witness.detector_id
    witnesses = with_witness(incident.witnesses, witness)
    is_told = witnesses is incident.witnesses
    return replace(
        incident,
        opened_at_ms=min(incident.opened_at_ms, first_ms),
        last_at_ms=max(incident.last_at_ms, last_ms),
        score=incident.score if is_told else max(incident.score, severity_score(witnesses)),
        count=incident.count + witness.count,
        witnesses=witnesses,
        parties=with_party(incident.parties, Party(witness.place, mass, witness.onset_ms, witness.count)),
        first_ids=union(incident.first_ids, witness.ids, MAX_FIRST),
        strongest_ids=with_strongest(incident.strongest_ids, ranked(witness)),
        masses=with_masses(incident.masses, {witness.concern: mass}),
        metrics=with_masses(incident.metrics, {metric: mass}),
        detectors=with_masses(incident.detectors, {witness.detector_id: mass}),
        families=union(incident.families, (witness.family,), MAX_NAMES),
        traces=union(incident.traces, witness.traces, MAX_TRACES),
        is_dirty=True,
    )


def folded(parent: Ongoing, child: Ongoing) -> Ongoing:
    """Return an incident with all that another one has seen, which it takes the place of."""
    witnesses = parent.witnesses
    for witness in child.witnesses:
        witnesses = with_witness(witnesses, witness)
    parties = parent.parties
    for party in child.parties.values():
        parties = with_party(parties, party)
    return replace(
        parent,
        opened_at_ms=min(parent.opened_at_ms, child.opened_at_ms),
        last_at_ms=max(parent.last_at_ms, child.last_at_ms),
        score=max(parent.score, child.score, severity_score(witnesses)),
        count=parent.count + child.count,
        witnesses=witnesses,
        parties=parties,
        first_ids=union(parent.first_ids, child.first_ids, MAX_FIRST),
        strongest_ids=with_strongest(parent.strongest_ids, child.strongest_ids),
        masses=with_masses(parent.masses, child.masses),
        metrics=with_masses(parent.metrics, child.metrics),
        detectors=with_masses(parent.detectors, child.detectors),
        families=union(parent.families, child.families, MAX_NAMES),
        traces=union(parent.traces, child.traces, MAX_TRACES),
        is_dirty=True,
    )


def heard(incident: Ongoing, witness: Witness) -> bool:
    """Return whether the witness's entity, metric and detector all took part already."""
    return (
        witness.place.id in incident.parties
        and (witness.metric or witness.detector_id) in incident.metrics
        and witness.detector_id in incident.detectors
    )


def with_witness(witnesses: tuple[Witness, ...], witness: Witness) -> tuple[Witness, ...]:
    """Return the strongest witnesses with one more; the very tuple that was given if it tells nothing new."""
    for position, known in enumerate(witnesses):
        if known.key == witness.key:
            both = joined(known, witness)
            if conviction(both) == conviction(known):
                return witnesses
            return strongest((*witnesses[:position], both, *witnesses[position + 1 :]))
    if len(witnesses) == MAX_WITNESSES and conviction(witness) <= conviction(witnesses[-1]):
        return witnesses
    return strongest((*witnesses, witness))


def with_party(parties: dict[str, Party], party: Party) -> dict[str, Party]:
    """Return the parties with one more, or with more evidence on one of them; only the first 50 entities are kept."""
    known = parties.get(party.place.id)
    if known is not None:
        onset_ms = min(known.onset_ms, party.onset_ms)
        party = Party(known.place, known.mass + party.mass, onset_ms, known.count + party.count)
    elif len(parties) == MAX_PARTIES:
        return parties
    return {**parties, party.place.id: party}


def ranked(witness: Witness) -> Ranked:
    """Return the ids of a witness as a ranking."""
    return tuple((-witness.strength, each) for each in witness.ids)


def with_strongest(ids: Ranked, others: Ranked) -> Ranked:
    """Return the strongest of two rankings."""
    if len(ids) == MAX_STRONGEST and all(other >= ids[-1] for other in others):
        return ids
    return tuple(sorted({*ids, *others})[:MAX_STRONGEST])


def with_masses(masses: dict[str, float], others: dict[str, float]) -> dict[str, float]:
    """Return the sums of two tables of evidence by name; only the first 20 names are kept."""
    both = dict(masses)
    for name, mass in others.items():
        if name in both or len(both) < MAX_NAMES:
            both[name] = both.get(name, 0.0) + mass
    return both
