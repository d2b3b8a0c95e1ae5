"""Memory: how many bytes of requests are held at a time, bounded whatever is sent."""

from types import TracebackType
from typing import Final, Self

from jobs.ingestion.outcome import RETRY_AFTER_S, Refusal, RefusedError

REQUEST_BYTES: Final = 16_384
"""What a request holds besides its body: buffers of the connection, headers, the task. Bounds their number too."""


class RequestMemory:
    """The bytes that all requests together may hold."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used = 0
        self.peak = 0

    def lease(self) -> "Lease":
        """Return a lease for one request; raises RefusedError (overloaded) when there is no room for it."""
        lease = Lease(self)
        lease.grow(REQUEST_BYTES)
        return lease


class Lease:
    """One request's share, given back when the context ends."""

    def __init__(self, memory: RequestMemory) -> None:
        self._memory = memory
        self._held = 0

    def grow(self, size: int) -> None:
        """Hold so many bytes more; raises RefusedError (overloaded) when there is no room for them."""
        memory = self._memory
        if memory.used + size > memory.bytes_max:
            raise RefusedError(
                Refusal.OVERLOADED,
                "The server holds as many bytes of requests as it may: send this again later.",
                retry_after_s=RETRY_AFTER_S,
            )
        memory.used += size
        memory.peak = max(memory.peak, memory.used)
        self._held += size

    def shrink(self, size: int) -> None:
        """Give so many bytes back."""
        self._memory.used -= size
        self._held -= size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give everything back."""
        self._memory.used -= self._held
        self._held = 0
