"""Outage: when trouble of several applications is taken for their provider's, and what operators know of it."""

from udfs.correlation.background import branches_beyond_chance
from udfs.correlation.branches import MANY_BRANCHES, branches, usual
from udfs.correlation.casebook import Casebook
from udfs.correlation.notice import OperatorNotice
from udfs.correlation.severity import severity_score
from udfs.correlation.waiting import share, speaks, strong, whole_of
from udfs.correlation.witness import SHARED_CONCERNS, Concern, Witness, provider_scope

BRANCHES_WITH_WHOLE = 2
"""Enough applications when the tenant's summary over all of them is anomalous too."""
MAX_NOTICES = 16
"""Providers of which a tenant remembers an operators' incident."""


def open_provider(book: Casebook, provider: str, concern: str, at_ms: int) -> bool:
    """Return whether several applications' trouble was found to be one of their provider, and its incident opened.

    Needed are three applications in critical trouble of the same kind, or more in any such trouble than chance
    explains, or one if operators know already that the provider is ill. Incidents that have evidence of other
    providers, or of what was said, stay what they are.
    """
    scope = provider_scope(provider)
    if not provider or concern not in SHARED_CONCERNS or book.near(scope, at_ms, concern) is not None:
        return False
    name = share(scope, concern)
    incidents = branches(book, name, "application:", at_ms)
    waiting = book.waiting.speaking(name, at_ms)
    if not incidents and not waiting:
        return False

    def is_heard(witness: Witness) -> bool:
        is_near = abs(witness.last_at_ms - at_ms) <= book.settings.window_ms
        return witness.place.provider == provider and witness.concern == concern and is_near

    is_known_ill = concern == Concern.SERVICE and notice_near(book, provider, at_ms) is not None
    if not is_known_ill and not is_trouble_common(book, provider, concern, at_ms):
        return False
    evidence = [witness for each in (scope, *waiting) for witness in book.waiting.near(each, at_ms, is_heard)]
    folding = [each for each in incidents if is_of_provider(book, each, scope)]
    heard = [witness for each in folding for witness in book.body(each).witnesses if is_heard(witness)]
    witnesses = {each.key: each for each in (*heard, *evidence)}
    if severity_score(witnesses.values()) < book.settings.open_score:
        return False
    for each in (scope, *waiting):
        book.waiting.take(each, evidence.__contains__)
    point_to_operator(book, book.open(scope, evidence, folding, at_ms))
    return True


def is_trouble_common(book: Casebook, provider: str, concern: str, at_ms: int) -> bool:
    """Return whether so many applications of a provider are in the same kind of trouble that it is the provider's."""
    scope = provider_scope(provider)
    name = share(scope, concern)
    count = len(applications_in_trouble(book, name, at_ms))
    if is_whole_in_trouble(book, provider, concern, at_ms):
        return count >= BRANCHES_WITH_WHOLE
    if len(applications_in_trouble(book, strong(name), at_ms)) >= MANY_BRANCHES:
        return True
    return count >= branches_beyond_chance(MANY_BRANCHES, usual(book, scope, at_ms))


def applications_in_trouble(book: Casebook, name: str, at_ms: int) -> set[str]:
    """Return the scopes of the applications that speak for a provider (a `share`) around an instant."""
    incidents = branches(book, name, "application:", at_ms)
    return {book.incidents[each].scope for each in incidents}.union(book.waiting.speaking(name, at_ms))


def is_whole_in_trouble(book: Casebook, provider: str, concern: str, at_ms: int) -> bool:
    """Return whether the tenant's summary over all applications of a provider is anomalous around an instant."""
    name, window_ms = share(whole_of(provider), concern), book.settings.window_ms
    cells = (cell.shares for cell in book.incidents.values() if cell.is_open)
    lists = (each.shares for each in book.waiting.lists.values())
    return any(speaks(shares, name, at_ms, window_ms) for shares in (*cells, *lists))


def is_of_provider(book: Casebook, identifier: str, scope: str) -> bool:
    """Return whether an incident's evidence is all of one provider and of concerns that applications share."""
    cell = book.incidents[identifier]
    providers = {name.rpartition("|")[0] for name in cell.shares if name.startswith("provider:")}
    return providers == {scope} and SHARED_CONCERNS.issuperset(cell.concerns)


def notice_near(book: Casebook, provider: str, at_ms: int) -> OperatorNotice | None:
    """Return the notice that a provider is ill over all tenants around an instant, None if there is none."""
    notice = book.notices.get(provider)
    window_ms = book.settings.window_ms
    if notice is None or not notice.opened_at_ms - window_ms <= at_ms <= notice.until_ms + window_ms:
        return None
    return notice


def point_to_operator(book: Casebook, identifier: str) -> None:
    """Let an open incident of a provider point to the operators' incident that overlaps it in time."""
    cell = book.incidents[identifier]
    kind, _, provider = cell.scope.partition(":")
    notice = book.notices.get(provider) if kind == "provider" else None
    if notice is None or not cell.is_open:
        return
    window_ms = book.settings.window_ms
    if cell.first_at_ms <= notice.until_ms + window_ms and notice.opened_at_ms - window_ms <= cell.last_at_ms:
        book.point(identifier, notice.incident_id)


def heed(book: Casebook, notice: OperatorNotice) -> None:
    """Take note of an operators' incident: point to it, and take single applications' trouble for the provider's."""
    book.notices.pop(notice.provider, None)
    book.notices[notice.provider] = notice
    while len(book.notices) > MAX_NOTICES:
        del book.notices[next(iter(book.notices))]
    name = share(provider_scope(notice.provider), Concern.SERVICE)
    shares = [cell.shares for cell in book.incidents.values() if cell.is_open]
    shares += [each.shares for each in book.waiting.lists.values()]
    for at_ms in sorted((each[name] for each in shares if name in each), reverse=True):
        if notice_near(book, notice.provider, at_ms) and open_provider(book, notice.provider, Concern.SERVICE, at_ms):
            break
    for identifier in book.open_ids():
        point_to_operator(book, identifier)
