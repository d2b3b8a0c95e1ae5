"""The routing tree: which receivers hear of an alert, and in which rhythm."""

from collections.abc import Iterator

from msgspec import Struct

from udfs.alerting.matcher import Matcher, all_match

GROUP_WAIT_MS = 30_000
GROUP_INTERVAL_MS = 300_000
REPEAT_INTERVAL_MS = 14_400_000


class Route(Struct, frozen=True, kw_only=True):
    """A node of the tree, with everything that it inherits already in it."""

    receiver: str
    key: str = "{}"
    """The matchers from the root to here, as group keys begin: `{}/{a="b"}`."""
    matchers: tuple[Matcher, ...] = ()
    goes_on: bool = False
    """`continue`: whether later siblings are tried after this node has matched."""
    group_by: tuple[str, ...] = ()
    group_by_all: bool = False
    group_wait_ms: int = GROUP_WAIT_MS
    group_interval_ms: int = GROUP_INTERVAL_MS
    repeat_interval_ms: int = REPEAT_INTERVAL_MS
    mute_intervals: tuple[str, ...] = ()
    active_intervals: tuple[str, ...] = ()
    routes: tuple["Route", ...] = ()

    def group_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Return the labels that say which group of this route an alert belongs to."""
        if self.group_by_all:
            return labels
        return {name: value for name, value in labels.items() if name in self.group_by}


def matching_routes(route: Route, labels: dict[str, str]) -> list[Route]:
    """Return the nodes that handle an alert, depth first; none if the node's own matchers refuse it.

    The first child that matches ends the search unless it goes on; a node of which no child matches handles the alert
    itself. Source: Alertmanager, `dispatch.Route.Match`.
    """
    if not all_match(route.matchers, labels):
        return []
    found: list[Route] = []
    for child in route.routes:
        matches = matching_routes(child, labels)
        found += matches
        if matches and not child.goes_on:
            break
    return found or [route]


def walk(route: Route) -> Iterator[Route]:
    """Yield the node and all below it, depth first."""
    yield route
    for child in route.routes:
        yield from walk(child)
