"""Opening: which incidents open, or are folded into one, because of a witness.

Evidence opens the narrowest scope that explains it. When several branches of a scope are in the same kind of trouble at
once, applications of a provider or users of an application, their incidents are folded into one of that scope.
"""

from udfs.correlation.branches import note_background
from udfs.correlation.casebook import Casebook
from udfs.correlation.outage import open_provider, point_to_operator
from udfs.correlation.routing import joinable
from udfs.correlation.runaway import open_users
from udfs.correlation.severity import severity_score
from udfs.correlation.waiting import home_of
from udfs.correlation.witness import Witness


def admit(book: Casebook, witness: Witness) -> None:
    """Let a witness join an incident or wait, then open and fold what it makes due.

    Information joins what is open, and never waits: it could open nothing.
    """
    target = joinable(book, witness)
    if target is not None:
        book.join(target, witness)
    elif not witness.is_info:
        book.waiting.add(witness)
        book.note_calls(witness, home_of(witness))
    if witness.is_info or (target is not None and not book.incidents[target].is_open):
        return
    place, at_ms = witness.place, witness.last_at_ms
    note_background(book, witness)
    if open_provider(book, place.shared_provider, witness.concern, at_ms):
        return
    if place.application and open_users(book, witness, at_ms):
        return
    if target is None:
        open_own(book, home_of(witness), at_ms)


def open_own(book: Casebook, scope: str, at_ms: int) -> None:
    """Open an incident of an application or provider if its own witnesses are worth one; users speak for themselves."""
    own = book.waiting.near(scope, at_ms, lambda each: not each.place.user)
    if severity_score(own) >= book.settings.open_score:
        book.waiting.take(scope, own.__contains__)
        point_to_operator(book, book.open(scope, own, (), at_ms))
