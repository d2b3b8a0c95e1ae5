"""Cause: which entity most likely brought the others into trouble; a hint for people, never an input to decisions."""

from collections.abc import Iterable
from math import exp

from msgspec import Struct

from udfs.correlation.witness import Concern, Place, application_scope, provider_scope, user_scope
from udfs.entity import UNKNOWN

MAX_CAUSES = 5

POSITION = {
    Concern.SERVICE: {"model": 1.0, "provider": 0.9, "application": 0.8, "user": 0.6},
    Concern.LOAD: {"user": 1.0, "application": 0.9, "model": 0.7, "provider": 0.6},
}
"""Trouble with the service flows from provider and model to applications and users, load the other way. Of two that
explain the same the more specific is named, so a model goes before its provider unless others of its models suffer."""

ONSET_SCALE_MS = 60_000.0
"""Whoever began a minute after the first is less likely the cause; onsets are known to half a window."""


class Party(Struct, frozen=True, array_like=True):
    """One entity's part in an incident; about 200 bytes encoded.

    `mass` is its evidence in nats of removed doubt, -ln(1 - strength), where repeats count a tenth.
    """

    place: Place
    mass: float
    onset_ms: int
    count: int


class Cause(Struct, frozen=True):
    """A candidate: a scope or `model:<provider>/<model>`, its weight, its share of the evidence, its onset."""

    scope: str
    kind: str
    weight: float
    share: float
    onset_ms: int
    applications: int


def scopes_of(place: Place) -> Iterable[tuple[str, str]]:
    """Yield (kind, scope) of everything that could be the cause of trouble at a place."""
    if place.shared_provider:
        yield "provider", provider_scope(place.provider)
        if place.model not in {"", UNKNOWN}:
            yield "model", f"model:{place.provider}/{place.model}"
    if place.application:
        yield "application", application_scope(place.application)
        if place.user:
            yield "user", user_scope(place.application, place.user)


def ranked_causes(parties: Iterable[Party], concern: Concern) -> tuple[Cause, ...]:
    """Return the candidate causes, likeliest first, at most 5; their weights are comparable, not probabilities.

    weight = share**2 * position * onset * diversity: the share of the evidence it explains, its place upstream for the
    concern, how early it began, and, for the service, over how many different parts the trouble spreads below it. A
    user explains the load of its application.
    """
    parties = tuple(parties)
    total = sum(party.mass for party in parties)
    if total <= 0.0:
        return ()
    position = POSITION.get(concern, POSITION[Concern.LOAD])
    first_ms = min(party.onset_ms for party in parties)
    members: dict[tuple[str, str], list[Party]] = {}
    for party in parties:
        for candidate in scopes_of(party.place):
            members.setdefault(candidate, []).append(party)
    causes = []
    for (kind, scope), own in members.items():
        applications = {party.place.application for party in own} - {""}
        explained = own
        if kind == "user" and concern is Concern.LOAD:
            explained = [party for party in parties if party in own or is_whole(party, applications)]
        share = sum(party.mass for party in explained) / total
        onset_ms = min(party.onset_ms for party in own)
        onset = 0.5 + 0.5 * exp((first_ms - onset_ms) / ONSET_SCALE_MS)
        weight = share * share * position[kind] * onset
        if concern is Concern.SERVICE:
            weight *= 1.0 - 0.5 ** diversity(kind, own)
        causes.append(Cause(scope, kind, weight, share, onset_ms, len(applications)))
    return tuple(sorted(causes, key=lambda cause: (-cause.weight, cause.scope))[:MAX_CAUSES])


def is_whole(party: Party, applications: set[str]) -> bool:
    """Return whether a party is one of some applications as a whole, not one of their users."""
    return party.place.application in applications and not party.place.user


def diversity(kind: str, parties: list[Party]) -> int:
    """Return over how many different parts trouble spreads below a candidate cause, at least 1."""
    if kind in {"provider", "model"}:
        # A summary over all applications is the word of all of them.
        whole = 3 if any(not party.place.application for party in parties) else 0
        return max(1, whole + len({party.place.application for party in parties} - {""}))
    return max(1, len({(party.place.provider, party.place.model) for party in parties}))
