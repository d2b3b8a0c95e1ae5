"""Recent ids: which events a shard has already taken, of those that would not be late by now."""

import msgspec


class RecentIds:
    """The ids of events and their event times. A repeat of any older event is late, so these are enough."""

    def __init__(self, stored: bytes | None = None) -> None:
        """Begin with what `store` returned earlier."""
        self._at_ms: dict[str, int] = msgspec.json.decode(stored, type=dict[str, int]) if stored else {}

    def is_repeat(self, event_id: str, at_ms: int) -> bool:
        """Return whether the id was there before; if not, it is from now on."""
        before = len(self._at_ms)
        self._at_ms.setdefault(event_id, at_ms)
        return len(self._at_ms) == before

    def forget(self, watermark_ms: int) -> None:
        """Forget the ids of events that would be late now."""
        self._at_ms = {event_id: at_ms for event_id, at_ms in self._at_ms.items() if at_ms > watermark_ms}

    def store(self) -> bytes:
        """Return the ids as they are kept in the job's state."""
        return msgspec.json.encode(self._at_ms)
