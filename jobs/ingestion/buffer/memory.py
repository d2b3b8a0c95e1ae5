"""How much memory the events of all tenants use."""


class Memory:
    """Events in memory, of all tenants."""

    __slots__ = ("flying", "limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.flying = 0
        """Events that have been taken and are still here."""

    @property
    def is_tight(self) -> bool:
        """Whether more than half of it is in use."""
        return 2 * self.used_bytes > self.limit_bytes
