"""Branches: the parts of a wider scope that are in trouble at once, and how many usually are."""

from udfs.correlation.background import observed, usual_branches
from udfs.correlation.casebook import Casebook
from udfs.correlation.waiting import speaks
from udfs.correlation.witness import SHARED_CONCERNS, Witness, application_scope, digest, provider_scope

MANY_BRANCHES = 3
"""Branches of a scope, in trouble at once, that make it a common one."""


def branches(book: Casebook, name: str, kind: str, at_ms: int) -> list[str]:
    """Return the open incidents of a kind of scope that speak for a wider one (a `share`) around an instant."""
    window_ms = book.settings.window_ms
    return [
        identifier
        for identifier, cell in book.incidents.items()
        if speaks(cell.shares, name, at_ms, window_ms) and cell.is_open and cell.scope.startswith(kind)
    ]


def note_background(book: Casebook, witness: Witness) -> None:
    """Count a branch's weak evidence as usual for the wider scope, unless that has an incident already."""
    place, at_ms = witness.place, witness.last_at_ms
    if place.user:
        parent, branch = application_scope(place.application), place.user
    elif place.application and place.shared_provider:
        parent, branch = provider_scope(place.provider), place.application
    else:
        return
    if witness.is_weak and witness.concern in SHARED_CONCERNS and book.near(parent, at_ms) is None:
        window = at_ms // book.settings.window_ms
        book.backgrounds[parent] = observed(book.backgrounds.pop(parent, None), window, digest(branch))


def usual(book: Casebook, scope: str, at_ms: int) -> float:
    """Return in how many branches of a scope there usually is weak evidence within one window."""
    return usual_branches(book.backgrounds.get(scope), at_ms // book.settings.window_ms)
