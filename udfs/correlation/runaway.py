"""Runaway: when trouble is one user's, and when it is that of an application with many such users."""

from udfs.correlation.background import branches_beyond_chance
from udfs.correlation.branches import MANY_BRANCHES, branches, usual
from udfs.correlation.casebook import Casebook
from udfs.correlation.severity import severity_score
from udfs.correlation.waiting import share, strong
from udfs.correlation.witness import Concern, Witness, application_scope, user_scope

MAX_USUAL_USERS = 0.1
"""Where more users than this are in trouble in a usual window, one of them does not explain the application's load."""


def open_users(book: Casebook, witness: Witness, at_ms: int) -> bool:
    """Return whether an incident opened because of users: of one who stands out, or of an application with many."""
    application, concern = witness.place.application, witness.concern
    scope = application_scope(application)
    users = users_in_trouble(book, application, concern, at_ms)
    expected = usual(book, scope, at_ms)
    is_common = len(users_in_trouble(book, application, concern, at_ms, is_strong=True)) >= MANY_BRANCHES
    if is_common or len(users) >= branches_beyond_chance(MANY_BRANCHES, expected):
        folding = [each for each in book.open_ids() if book.incidents[each].scope in users]
        evidence = book.waiting.take(scope, lambda each: is_of_users(each, users) and each.concern == concern)
        if evidence or folding:
            book.open(scope, evidence, folding, at_ms)
            return True
        return False
    stands_alone = concern == Concern.LOAD and expected < MAX_USUAL_USERS
    candidates = {user_scope(application, witness.place.user)} if witness.place.user else users
    if not stands_alone and not witness.place.user:
        return False
    return any(open_user(book, application, user, at_ms, stands_alone=stands_alone) for user in sorted(candidates))


def is_of_users(witness: Witness, scopes: set[str]) -> bool:
    """Return whether a witness is about one of some users (scopes)."""
    return bool(witness.place.user) and user_scope(witness.place.application, witness.place.user) in scopes


def users_in_trouble(
    book: Casebook, application: str, concern: str, at_ms: int, *, is_strong: bool = False
) -> set[str]:
    """Return the scopes of an application's users who are in the same kind of trouble around an instant."""
    scope = application_scope(application)
    name = share(scope, concern)
    incidents = branches(book, strong(name) if is_strong else name, "user:", at_ms)
    users = {book.incidents[each].scope for each in incidents}
    for each in book.waiting.near(scope, at_ms, lambda each: bool(each.place.user) and each.concern == concern):
        if not is_strong or not each.is_weak:
            users.add(user_scope(application, each.place.user))
    common = book.near(scope, at_ms, concern)
    if common is not None and not is_strong:
        places = (party.place for party in book.body(common).parties.values())
        users |= {user_scope(application, place.user) for place in places if place.user}
    return users


def open_user(book: Casebook, application: str, user: str, at_ms: int, *, stands_alone: bool) -> bool:
    """Return whether an incident of one user opened.

    A user who stands alone takes its application's load with it: what waits counts as evidence, and an incident that is
    about nothing but load is folded if the user's own evidence is worth one.
    """
    scope = application_scope(application)
    if book.near(user, at_ms) is not None:
        return False
    own = book.waiting.near(scope, at_ms, lambda each: is_of_users(each, {user}))
    common = book.near(scope, at_ms, Concern.LOAD)
    heard: list[Witness] = []
    if common is not None:
        heard = [each for each in book.body(common).witnesses if is_of_users(each, {user})]
    if not own and not heard:
        return False
    is_enough = severity_score((*own, *heard)) >= book.settings.open_score
    folding = []
    load: tuple[Witness, ...] = ()
    if stands_alone:
        load = book.waiting.near(scope, at_ms, lambda each: not each.place.user and each.concern == Concern.LOAD)
        if common is not None and is_enough and book.incidents[common].concerns == (Concern.LOAD,):
            folding = [common]
    if not is_enough and severity_score((*own, *load)) < book.settings.open_score:
        return False
    if not own and not folding:
        return False
    book.waiting.take(scope, (*own, *load).__contains__)
    book.open(user, (*own, *load), folding, at_ms)
    return True
