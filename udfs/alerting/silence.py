"""Silences: what people have asked not to be told of, for a while."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from udfs.alerting.matcher import Matcher, MatchKind, all_match, anchored, in_order

RETENTION_MS = 120 * 3_600_000
"""How long an expired silence is kept to be looked at."""


class SilenceState(StrEnum):
    """Where a silence stands."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


class Silence(Struct, frozen=True, kw_only=True):
    """Alerts that match are not told of from its start until its end."""

    silence_id: str
    matcher_sets: tuple[tuple[Matcher, ...], ...]
    """An alert is silenced if it fulfils all the matchers of at least one set."""
    starts_at_ms: int
    ends_at_ms: int
    updated_at_ms: int
    created_by: str = ""
    comment: str = ""
    annotations: dict[str, str] = {}

    def state(self, now_ms: int) -> SilenceState:
        """Return where it stands at an instant."""
        if now_ms < self.starts_at_ms:
            return SilenceState.PENDING
        return SilenceState.ACTIVE if now_ms < self.ends_at_ms else SilenceState.EXPIRED

    def matches(self, labels: dict[str, str]) -> bool:
        """Return whether the labels are meant, whatever the time."""
        return any(all_match(matchers, labels) for matchers in self.matcher_sets)


def check(silence: Silence) -> None:
    """Raise ValueError, with what to write instead, for a silence that Alertmanager would refuse."""
    if not silence.matcher_sets or not all(silence.matcher_sets):
        raise ValueError("a silence needs at least one matcher")
    for matchers in silence.matcher_sets:
        for matcher in matchers:
            if not matcher.name:
                raise ValueError("a matcher needs the name of a label")
            if matcher.kind in {MatchKind.REGEX, MatchKind.NOT_REGEX}:
                anchored(matcher.value)
        if all_match(matchers, {}):
            raise ValueError("at least one matcher must not match the empty value, or everything would be silent")
    if silence.ends_at_ms < silence.starts_at_ms:
        raise ValueError("the end of a silence is not before its start")


def normal(silence: Silence) -> Silence:
    """Return the silence with its matchers in order, so that the same ones look the same."""
    return replace(silence, matcher_sets=tuple(in_order(matchers) for matchers in silence.matcher_sets))


def can_become(known: Silence, wanted: Silence, now_ms: int) -> bool:
    """Return whether a silence may be changed in place without rewriting what was silent in the past.

    Source: Alertmanager, `silence.canUpdate`; starts are compared by the second.
    """
    if known.matcher_sets != wanted.matcher_sets:
        return False
    state = known.state(now_ms)
    if state is SilenceState.ACTIVE:
        same_start = wanted.starts_at_ms // 1_000 == known.starts_at_ms // 1_000
        return same_start and wanted.ends_at_ms >= now_ms
    return state is SilenceState.PENDING and wanted.starts_at_ms >= now_ms


def expired(silence: Silence, now_ms: int) -> Silence:
    """Return the silence as it is when it is ended now; one that is pending never begins."""
    if silence.state(now_ms) is SilenceState.PENDING:
        return replace(silence, starts_at_ms=now_ms, ends_at_ms=now_ms, updated_at_ms=now_ms)
    return replace(silence, ends_at_ms=now_ms, updated_at_ms=now_ms)


class Silences:
    """All silences, and for each alert which of them mean it."""

    def __init__(self) -> None:
        self.by_id: dict[str, Silence] = {}
        self._version = 0
        self._seen: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._by_pair: dict[tuple[str, str], list[tuple[int, str]]] = {}
        """Those that mean one value of one label alone, with the version that brought them."""
        self._others: list[tuple[int, str]] = []

    def put(self, silence: Silence) -> None:
        """Add a silence or change one; its matchers never change under the same identifier."""
        if silence.silence_id not in self.by_id:
            self._version += 1
            self._index(silence)
        self.by_id[silence.silence_id] = silence

    def silencing(self, fingerprint: str, labels: dict[str, str], now_ms: int) -> tuple[str, ...]:
        """Return the identifiers of the active silences that mean an alert, in the order of their making."""
        if not self.by_id:
            return ()
        meant = self._meant(fingerprint, labels)
        return tuple(each for each in meant if self.by_id[each].state(now_ms) is SilenceState.ACTIVE) if meant else ()

    def forget(self, fingerprint: str) -> None:
        """Forget what is known of an alert that is gone."""
        self._seen.pop(fingerprint, None)

    def collect(self, now_ms: int) -> list[str]:
        """Remove the silences that expired long ago, and return their identifiers."""
        old = [each for each, silence in self.by_id.items() if silence.ends_at_ms + RETENTION_MS <= now_ms]
        for silence_id in old:
            del self.by_id[silence_id]
        if old:
            self._seen.clear()
            self._by_pair.clear()
            self._others.clear()
            self._version = 0
            for silence in self.by_id.values():
                self._version += 1
                self._index(silence)
        return old

    def _meant(self, fingerprint: str, labels: dict[str, str]) -> tuple[str, ...]:
        version, meant = self._seen.get(fingerprint, (0, ()))
        if version != self._version:
            candidates = [each for each in self._others if each[0] > version]
            for pair in labels.items():
                if pair in self._by_pair:
                    candidates += [each for each in self._by_pair[pair] if each[0] > version]
            for _, silence_id in sorted(candidates):
                if self.by_id[silence_id].matches(labels):
                    meant = (*meant, silence_id)
            self._seen[fingerprint] = self._version, meant
        return meant

    def _index(self, silence: Silence) -> None:
        entry = self._version, silence.silence_id
        if len(silence.matcher_sets) == 1:
            for matcher in silence.matcher_sets[0]:
                if matcher.kind is MatchKind.EQUAL and matcher.value:
                    self._by_pair.setdefault((matcher.name, matcher.value), []).append(entry)
                    return
        self._others.append(entry)
