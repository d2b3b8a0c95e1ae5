"""A group: alerts that are told of together."""

from udfs.alerting.label_text import labels_text
from udfs.alerting.route import Route


class Group:
    """Alerts of one route with the same group labels, and when they are looked at next."""

    __slots__ = (
        "alive",
        "emptied_at_ms",
        "failed",
        "flushed",
        "group_id",
        "key",
        "labels",
        "members",
        "next_at_ms",
        "route",
        "said",
        "settled",
    )

    def __init__(self, route: Route, route_number: int, labels: dict[str, str]) -> None:
        self.route = route
        self.labels = labels
        self.key = f"{route.key}:{labels_text(labels)}"
        self.group_id = group_id(route_number, self.key)
        self.alive = False
        self.members: set[str] = set()
        """Fingerprints of the alerts that fire, or whose end has not been told of."""
        self.next_at_ms = 0
        self.flushed = False
        """Whether the first look is over, that is, whether the group wait is."""
        self.emptied_at_ms: int | None = None
        self.failed = False
        """Whether a notice of the last look could not be delivered."""
        self.settled: dict[str, int] = {}
        """Alerts that may leave once all notices under way are delivered, with the version that was told."""
        self.said: dict[str, tuple[str, str]] = {}
        """The last decision about each alert or channel, so that it is not repeated at each look."""


def group_id(route_number: int, key: str) -> str:
    """Return what identifies a group under one configuration; two routes may have the same key."""
    return f"{route_number:05d} {key}"


def key_of(identifier: str) -> str:
    """Return the key that is in an identifier."""
    return identifier.partition(" ")[2]


def chain_name(group: Group) -> str:
    """Return what identifies the chain of a group: the same after other settings have formed it anew."""
    return f"{group.route.receiver}\n{group.key}"
