"""Whose turn it is: deficit round robin over tenants with something to send (Shreedhar and Varghese, 1995)."""

from collections import deque


class FairQueue:
    """Tenants with something to send, served in turns of equal bytes however many events they have or how large.

    A tenant that has waited gets no more than its turn: nothing is saved up while it has nothing to send. Work per
    turn does not grow with the number of tenants.
    """

    def __init__(self, quantum_bytes: int) -> None:
        """Allow each tenant `quantum_bytes` a round; an event larger than that waits for several rounds."""
        self._quantum = quantum_bytes
        self._waiting: deque[str] = deque()
        self._deficit: dict[str, int] = {}
        self._has_begun = False

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, tenant: str) -> None:
        """Let the tenant take part, at the end of the round; nothing changes if it already does."""
        if tenant not in self._deficit:
            self._deficit[tenant] = 0
            self._waiting.append(tenant)

    def turn(self) -> tuple[str, int] | None:
        """Return the tenant whose turn it is and the bytes it may send, or None if there is nobody.

        The turn lasts until `served` ends it.
        """
        if not self._waiting:
            return None
        tenant = self._waiting[0]
        if not self._has_begun:
            self._has_begun = True
            self._deficit[tenant] += self._quantum
        return tenant, self._deficit[tenant]

    def served(self, sent_bytes: int, *, has_more: bool) -> None:
        """End the turn."""
        tenant = self._waiting.popleft()
        self._has_begun = False
        if has_more:
            self._deficit[tenant] -= sent_bytes
            self._waiting.append(tenant)
        else:
            del self._deficit[tenant]
