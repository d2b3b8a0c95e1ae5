"""Routing: which incident a witness joins, before any opens because of it.

Scopes are nested, user < application < provider. A witness joins the incident that explains it best, then one with
which it has a call in common, and a closed one only if it is late.
"""

from collections.abc import Iterator

from udfs.correlation.branches import branches
from udfs.correlation.casebook import Casebook
from udfs.correlation.waiting import share
from udfs.correlation.witness import (
    SHARED_CONCERNS,
    Concern,
    Witness,
    application_scope,
    provider_scope,
    user_scope,
)


def joinable(book: Casebook, witness: Witness) -> str | None:
    """Return the incident a witness joins, None if there is none."""
    at_ms = witness.last_at_ms
    preferred = tuple(scopes_to_join(book, witness))
    return (
        nearest(book, preferred, at_ms, is_open=True)
        or with_call(book, witness)
        or nearest(book, preferred, at_ms, is_open=False)
    )


def nearest(book: Casebook, preferred: tuple[tuple[str, str | None], ...], at_ms: int, *, is_open: bool) -> str | None:
    """Return the incident of the first scope that has one."""
    for scope, concern in preferred:
        found = book.near(scope, at_ms, concern, is_open=is_open)
        if found is not None:
            return found
    return None


def with_call(book: Casebook, witness: Witness) -> str | None:
    """Return the open incident that has one of the witness's calls in evidence.

    What was said in a call is not explained by what else was wrong with it.
    """
    if witness.concern is Concern.CONTENT:
        return None
    for call in witness.calls:
        holder = book.calls.get(call, "")
        cell = book.incidents.get(holder)
        if cell is not None and book.near(cell.scope, witness.last_at_ms) == holder:
            return holder
    return None


def scopes_to_join(book: Casebook, witness: Witness) -> Iterator[tuple[str, str | None]]:
    """Yield (scope, concern that its incident must have evidence of, None for any), the best explanation first."""
    place, concern = witness.place, witness.concern
    if place.user:
        yield user_scope(place.application, place.user), None
        # An incident of the application's service says nothing of a user who runs away with its budget.
        yield application_scope(place.application), concern
    elif not place.application:
        yield provider_scope(place.provider), None
        yield from only_application_in_trouble(book, witness)
    else:
        if concern is Concern.LOAD:
            for scope in open_user_scopes(book, place.application, concern, witness.last_at_ms):
                yield scope, concern
        if concern in SHARED_CONCERNS and place.shared_provider:
            yield provider_scope(place.provider), concern
        yield application_scope(place.application), None


def open_user_scopes(book: Casebook, application: str, concern: str, at_ms: int) -> list[str]:
    """Return the scopes of an application's user incidents that are fed around an instant, newest first."""
    name = share(application_scope(application), concern)
    return [book.incidents[each].scope for each in reversed(branches(book, name, "user:", at_ms))]


def only_application_in_trouble(book: Casebook, witness: Witness) -> Iterator[tuple[str, str | None]]:
    """Yield the application whose incident alone explains a summary over all applications, if there is such a one."""
    name = share(provider_scope(witness.place.provider), witness.concern)
    incidents = branches(book, name, "application:", witness.last_at_ms)
    scopes = {book.incidents[each].scope for each in incidents}
    if len(scopes) == 1 and scopes.issuperset(book.waiting.speaking(name, witness.last_at_ms)):
        yield scopes.pop(), witness.concern
