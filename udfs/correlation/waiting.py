"""Waiting lists: witnesses that were not enough for an incident so far, by application or provider."""

from collections.abc import Callable

from msgspec import msgpack

from udfs.correlation.severity import strongest
from udfs.correlation.state import Waiting
from udfs.correlation.witness import Concern, Witness, application_scope, joined, provider_scope

KEEP_MS = 900_000
"""A witness waits for a quarter of an hour: longer than the window in which witnesses add up, so that a late shard's
evidence meets its own kind."""
MAX_LISTS = 64
MAX_SHARES = 16

ENCODER = msgpack.Encoder()
DECODER = msgpack.Decoder(tuple[Witness, ...])


def share(scope: str, concern: str) -> str:
    """Return the name under which evidence speaks for a wider scope."""
    return f"{scope}|{concern}"


def strong(name: str) -> str:
    """Return the name of a share for what is not weak."""
    return f"{name}!"


def whole_of(provider: str) -> str:
    """Return the name of a provider's calls as a whole, as a summary over all applications sees them."""
    return f"whole:{provider}"


def shares_of(witness: Witness) -> dict[str, int]:
    """Return for which wider scope a witness speaks, and when last.

    A user speaks for its application, an application for its provider, a summary over all applications for all of it.
    """
    place = witness.place
    if not place.application:
        wider = whole_of(place.provider)
    elif place.user:
        wider = application_scope(place.application)
    else:
        wider = provider_scope(place.shared_provider) if place.shared_provider else ""
    if witness.is_info or not wider:
        return {}
    name = share(wider, witness.concern)
    names = (name,) if witness.is_weak else (name, strong(name))
    return dict.fromkeys(names, witness.last_at_ms)


def speaks(shares: dict[str, int], name: str, at_ms: int, window_ms: int) -> bool:
    """Return whether evidence spoke for a wider scope (a `share`) within a window around an instant."""
    return name in shares and abs(shares[name] - at_ms) <= window_ms


def latest(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    """Return the later time for every name in either table; of more than 16 names the latest."""
    both = {**left, **{name: max(at_ms, left.get(name, at_ms)) for name, at_ms in right.items()}}
    if len(both) <= MAX_SHARES:
        return both
    return dict(sorted(both.items(), key=lambda item: (-item[1], item[0]))[:MAX_SHARES])


def home_of(witness: Witness) -> str:
    """Return the scope in whose list a witness waits."""
    place = witness.place
    return application_scope(place.application) if place.application else provider_scope(place.provider)


class WaitingLists:
    """A working copy of the lists during one step: at most 64, the least recently fed goes first, of 12 witnesses."""

    def __init__(self, lists: dict[str, Waiting], window_ms: int) -> None:
        """Take lists by scope, which stay as they are."""
        self.lists = dict(lists)
        self.window_ms = window_ms

    def add(self, witness: Witness) -> None:
        """Let a witness wait; what an earlier one with the same key said within the window is joined to it."""
        scope = home_of(witness)
        at_ms = witness.last_at_ms
        others = []
        for each in self.witnesses(scope):
            if each.key != witness.key:
                others.append(each)
            elif abs(at_ms - each.last_at_ms) <= self.window_ms and at_ms - each.first_at_ms <= KEEP_MS:
                witness = joined(each, witness)
            elif each.last_at_ms > at_ms:
                witness = each
        newest_ms = max(each.last_at_ms for each in (*others, witness))
        self.put(scope, [each for each in (*others, witness) if newest_ms - each.last_at_ms <= KEEP_MS])
        if len(self.lists) > MAX_LISTS:
            del self.lists[next(iter(self.lists))]

    def witnesses(self, scope: str) -> tuple[Witness, ...]:
        """Return the witnesses in a scope's list."""
        found = self.lists.get(scope)
        return DECODER.decode(found.body) if found else ()

    def near(self, scope: str, at_ms: int, wanted: Callable[[Witness], bool]) -> tuple[Witness, ...]:
        """Return the wanted witnesses of a list who speak of the time around an instant."""
        return tuple(
            each for each in self.witnesses(scope) if abs(each.last_at_ms - at_ms) <= self.window_ms and wanted(each)
        )

    def speaking(self, name: str, at_ms: int) -> list[str]:
        """Return the scopes of the lists that speak for a wider scope (a `share`) around an instant."""
        return [scope for scope, each in self.lists.items() if speaks(each.shares, name, at_ms, self.window_ms)]

    def take(self, scope: str, wanted: Callable[[Witness], bool]) -> tuple[Witness, ...]:
        """Return the wanted witnesses of a list; they wait no longer."""
        present = self.witnesses(scope)
        taken = tuple(each for each in present if wanted(each))
        if taken:
            self.put(scope, [each for each in present if each not in taken])
        return taken

    def take_with_call(self, scope: str, call: int) -> tuple[Witness, ...]:
        """Return the witnesses of a list that have a call in evidence; they wait no longer.

        What was said in a call is a story of its own.
        """
        return self.take(scope, lambda each: call in each.calls and each.concern != Concern.CONTENT)

    def put(self, scope: str, witnesses: list[Witness]) -> None:
        """Set a scope's list to the strongest of some witnesses; an empty list goes."""
        self.lists.pop(scope, None)
        kept = strongest(witnesses)
        if not kept:
            return
        shares: dict[str, int] = {}
        for witness in kept:
            shares = latest(shares, shares_of(witness))
        self.lists[scope] = Waiting(max(witness.last_at_ms for witness in kept), shares, ENCODER.encode(kept))

    def forget(self, at_ms: int) -> None:
        """Drop the lists that have not been fed for a quarter of an hour."""
        self.lists = {scope: each for scope, each in self.lists.items() if each.newest_at_ms + KEEP_MS > at_ms}
