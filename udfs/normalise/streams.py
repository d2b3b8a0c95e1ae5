"""Streams: what cumulative metrics stood at, so that events say what was counted since.

Reading a request changes nothing: it returns where the streams stand after it, and the caller keeps that once the
events are safe. So a request that is refused and sent again gives the same events.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

REMEMBERED: Final = 65_536
"""Streams that are remembered; those that were silent longest are forgotten."""


class Standing(Struct, frozen=True, gc=False):
    """Where a cumulative stream stands: a counter's value, or a distribution's count, sum and buckets."""

    start_ns: int
    time_ns: int
    count: float
    """What only grows between resets."""
    total: float = 0.0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


class Streams:
    """Standings of one tenant's cumulative streams. One value for each tenant, kept by the caller; bounded."""

    def __init__(self, began_at_ms: int, remembered: int = REMEMBERED) -> None:
        """Begin without any, at a time: what streams have counted before it is not known to be new."""
        self._standings: dict[str, Standing] = {}
        self._began_at_ns = began_at_ms * 1_000_000
        self._remembered = remembered

    def keep(self, advanced: Mapping[str, Standing]) -> None:
        """Take in where streams stand after a request."""
        for stream, standing in advanced.items():
            self._standings.pop(stream, None)
            self._standings[stream] = standing
        for _ in range(len(self._standings) - self._remembered):
            del self._standings[next(iter(self._standings))]

    def before(self, stream: str, advanced: Mapping[str, Standing]) -> Standing | None:
        """Return where a stream stood, `advanced` by what came before in the same request."""
        return advanced.get(stream) or self._standings.get(stream)

    def since(self, before: Standing | None, now: Standing) -> Standing | None:
        """Return what was counted between two standings; None if that cannot be known, or was told before.

        A later start or a smaller count is a reset: all of it is new. So is all of a stream that started after we
        began; of one that is older, the first standing only says where to count from. Buckets of other bounds cannot be
        compared and are left out.
        """
        if before is None:
            return now if now.start_ns >= self._began_at_ns else None
        if now.time_ns <= before.time_ns:
            return None
        if now.start_ns > before.start_ns or now.count < before.count:
            return now
        buckets: tuple[int, ...] = ()
        if now.bounds == before.bounds and len(now.buckets) == len(before.buckets):
            buckets = tuple(new - old for new, old in zip(now.buckets, before.buckets, strict=True))
        comparable = bool(buckets) and min(buckets) >= 0
        return structs.replace(
            now,
            count=now.count - before.count,
            total=now.total - before.total,
            bounds=now.bounds if comparable else (),
            buckets=buckets if comparable else (),
        )
