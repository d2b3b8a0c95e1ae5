"""Spanning: windows over several shards, one tenant's calls to a provider and all tenants' calls to it.

Every shard sends its part of a window when the window closes, and how far its event time has come. A window is complete
when every shard has come past its end. What makes it complete is in the records, so the sums are the same in every run.
"""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from msgspec import Struct

from schemas.anomaly import EntityType
from udfs.aggregates import AGGREGATES, MAXIMA
from udfs.control import Control
from udfs.entity import SEPARATOR, tenant_provider_key
from udfs.findings import Findings, SplitApplication
from udfs.journal import Journal
from udfs.kernels import Floats
from udfs.moved import Part, added
from udfs.settings import DetectionSettings
from udfs.window_detection import WindowDetection
from udfs.windows import LEVELS_MS

_OPEN = "open"
IDLE_MS = 30_000
"""A shard that was silent for so long, by the clock, is not waited for: its partition has no traffic, no heartbeats."""
_TEN, _MINUTE = 1, 2
_TEN_MS, _MINUTE_MS = LEVELS_MS[_TEN], LEVELS_MS[_MINUTE]
_HOUR_MS = 3_600_000
_APPLICATIONS_MAX = 100_000
"""Applications of which the shard is remembered, the newest ones; shards tell of all when they begin."""


class SharedWindow(Struct, frozen=True, array_like=True):
    """A shard's part of one 10 s window of one tenant and provider."""

    end_ms: int
    tenant: str
    provider: str
    counts: list[float]
    parts: list[Part] = []
    """Who is far from what was expected, if anyone."""


class Share(Struct, frozen=True, array_like=True):
    """What one shard contributes, and the event time before which it has nothing more to say."""

    shard: int
    watermark_ms: int
    windows: list[SharedWindow]
    applications: list[str] = []
    """Tenant and application, joined by `SEPARATOR`, of which the shard has state and has not yet said so."""


class _Open(Struct, array_like=True):
    """Windows that are not complete, by level, end and key; and the shards' progress."""

    progress: dict[int, int]
    tens: dict[tuple[int, str, str], list[float]]
    minutes: dict[tuple[int, str, str], list[float]]
    passed_ms: int = 0
    """Event time that all shards had reached."""
    ten_parts: dict[tuple[int, str, str], list[Part]] = {}
    minute_parts: dict[tuple[int, str, str], list[Part]] = {}


class SpanningDetection:
    """Adds up shares and detects on complete windows."""

    def __init__(self, settings: DetectionSettings, control: Control, stored: Iterable[tuple[str, bytes]] = ()) -> None:
        """Take the settings, the rules and models in force, and everything stored."""
        self._journal = Journal(stored)
        everything = self._journal.segments()
        self._control = control
        self._control_version = -1
        self._settings = settings
        self._tenants = WindowDetection(settings, EntityType.TENANT_PROVIDER, everything)
        self._providers = WindowDetection(settings, EntityType.PROVIDER, everything)
        data = self._journal.values.get(_OPEN)
        self._open = msgspec.msgpack.decode(data, type=_Open) if data else _Open({}, {}, {})
        self._begun_at_ms = 0
        self._heard_at_ms: dict[int, int] = {}
        self._shard_of: dict[str, int] = {}

    @property
    def series(self) -> int:
        """Entities that have state: providers, and tenants' providers."""
        return self._tenants.series + self._providers.series

    @property
    def stored_bytes(self) -> int:
        """Bytes of the state of detectors and rules, as it is stored."""
        return self._tenants.stored_bytes + self._providers.stored_bytes

    def on_share(self, text: str, now_ms: int = 0) -> Findings:
        """Take one share and return what it made complete.

        `now_ms` is any clock, and used for nothing but to give up waiting for a shard that no longer speaks.
        """
        if self._control.version != self._control_version:
            self._control_version = self._control.version
            self._tenants.take(self._control)
            self._providers.take(self._control)
        share = msgspec.json.decode(text, type=Share)
        for window in share.windows:
            key = (window.end_ms, window.tenant, window.provider)
            _add(self._open.tens, key, window.counts)
            _gather(self._open.ten_parts, key, window.parts)
        known = self._open.progress
        self._begun_at_ms = self._begun_at_ms or now_ms
        self._heard_at_ms[share.shard] = now_ms
        known[share.shard] = max(known.get(share.shard, 0), share.watermark_ms)
        findings = Findings(split=self._split(share))
        complete_ms = self._complete_ms(now_ms)
        done = sorted(key for key in self._open.tens if key[0] <= complete_ms)
        self._judge(_TEN, [(key, self._open.tens.pop(key)) for key in done], findings)
        minutes = sorted(key for key in self._open.minutes if key[0] <= complete_ms)
        self._judge(_MINUTE, [(key, self._open.minutes.pop(key)) for key in minutes], findings)
        self._pass_time(complete_ms, findings)
        return findings

    def _split(self, share: Share) -> list[SplitApplication]:
        """Return the applications that another shard has state of as well."""
        found = []
        for application in share.applications:
            first = self._shard_of.setdefault(application, share.shard)
            if first != share.shard:
                tenant, _, name = application.partition(SEPARATOR)
                found.append(SplitApplication(tenant, name, first, share.shard))
        while len(self._shard_of) > _APPLICATIONS_MAX:
            del self._shard_of[next(iter(self._shard_of))]
        return found

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Return what is to be stored, key and bytes."""
        states = [*self._tenants.states(), *self._providers.states()]
        return self._journal.write(states, {_OPEN: msgspec.msgpack.encode(self._open)})

    def _pass_time(self, complete_ms: int, findings: Findings) -> None:
        passed_ms = self._open.passed_ms
        if complete_ms // _TEN_MS <= passed_ms // _TEN_MS:
            return
        self._open.passed_ms = complete_ms
        for windows in (self._tenants, self._providers):
            windows.pass_time(complete_ms, findings)
            if complete_ms // _HOUR_MS > passed_ms // _HOUR_MS:
                windows.forget_idle(complete_ms)

    def _complete_ms(self, now_ms: int) -> int:
        """Return the event time that every shard which still speaks has reached; 0 while any has yet to speak."""
        progress = self._open.progress
        if len(progress) < self._settings.partitions and now_ms - self._begun_at_ms < IDLE_MS:
            return 0
        speaking = [
            at_ms
            for shard, at_ms in progress.items()
            if now_ms - self._heard_at_ms.get(shard, self._begun_at_ms) < IDLE_MS
        ]
        return min(speaking)

    def _judge(self, level: int, windows: list[tuple[tuple[int, str, str], list[float]]], findings: Findings) -> None:
        if not windows:
            return
        providers: dict[tuple[int, str, str], list[float]] = {}
        provider_parts: dict[tuple[int, str, str], list[Part]] = {}
        known = self._open.ten_parts if level == _TEN else self._open.minute_parts
        parts = [known.pop(key, []) for key, _ in windows]
        for ((end_ms, tenant, provider), counts), own in zip(windows, parts, strict=True):
            _add(providers, (end_ms, "", provider), counts)
            _gather(provider_parts, (end_ms, "", provider), own)
            if level == _TEN:
                minute_end = -(-end_ms // _MINUTE_MS) * _MINUTE_MS
                _add(self._open.minutes, (minute_end, tenant, provider), counts)
                _gather(self._open.minute_parts, (minute_end, tenant, provider), own)
        keys = [tenant_provider_key(tenant, provider) for (_, tenant, provider), _ in windows]
        self._tenants.observe(level, keys, _ends(windows), _counts(windows), findings, parts=parts)
        summed = sorted(providers.items())
        self._providers.observe(
            level,
            [provider for (_, _, provider), _ in summed],
            _ends(summed),
            _counts(summed),
            findings,
            parts=[provider_parts.get(key, []) for key, _ in summed],
        )


def _add(into: dict[tuple[int, str, str], list[float]], key: tuple[int, str, str], counts: list[float]) -> None:
    known = into.get(key)
    if known is None:
        into[key] = list(counts)
        return
    for column, count in enumerate(counts):
        known[column] = max(known[column], count) if column in MAXIMA else known[column] + count


def _gather(into: dict[tuple[int, str, str], list[Part]], key: tuple[int, str, str], parts: list[Part]) -> None:
    if parts:
        into[key] = added([*into.get(key, ()), *parts])


def _ends(windows: list[tuple[tuple[int, str, str], list[float]]]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array([end_ms for (end_ms, _, _), _ in windows], dtype=np.int64)


def _counts(windows: list[tuple[tuple[int, str, str], list[float]]]) -> Floats:
    return np.array([counts for _, counts in windows], dtype=np.float64).reshape(-1, len(AGGREGATES))
