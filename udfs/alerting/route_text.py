"""The routing tree as text, drawn as amtool draws it."""

from collections.abc import Iterator

from udfs.alerting.matcher import all_match, matchers_text
from udfs.alerting.route import Route


def tree_text(route: Route) -> str:
    """Return the whole tree, one line for each node with its matchers and its receiver."""
    return "\n".join((".", *_lines(route, "", is_last=True, labels=None)))


def matching_tree_text(route: Route, labels: dict[str, str]) -> str:
    """Return the nodes that an alert passes through; those that handle it have their receiver beside them."""
    return "\n".join((".", *_lines(route, "", is_last=True, labels=labels)))


def _lines(route: Route, indent: str, *, is_last: bool, labels: dict[str, str] | None) -> Iterator[str]:
    children = list(route.routes if labels is None else _passed(route, labels))
    name = matchers_text(route.matchers) if route.matchers else "default-route"
    if labels is None and route.goes_on:
        name += "  continue: true"
    if labels is None or not children:
        name += f"  receiver: {route.receiver}"
    yield f"{indent}{'└── ' if is_last else '├── '}{name}"
    for child in children:
        further = indent + ("    " if is_last else "│\xa0\xa0 ")
        yield from _lines(child, further, is_last=child is children[-1], labels=labels)


def _passed(route: Route, labels: dict[str, str]) -> Iterator[Route]:
    for child in route.routes:
        if all_match(child.matchers, labels):
            yield child
            if not child.goes_on:
                return
