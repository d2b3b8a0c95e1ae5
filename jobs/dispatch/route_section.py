"""The section `route` of a configuration, with all that a node inherits."""

import re
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from jobs.dispatch.matcher_section import is_label_name, matchers_of_sections
from jobs.dispatch.yaml_node import Node
from udfs.alerting.matcher import matchers_text
from udfs.alerting.route import GROUP_INTERVAL_MS, GROUP_WAIT_MS, REPEAT_INTERVAL_MS, Route

_KEYS: Final = (
    "receiver",
    "group_by",
    "match",
    "match_re",
    "matchers",
    "mute_time_intervals",
    "active_time_intervals",
    "continue",
    "routes",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "labels",
)
_DURATION: Final = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_UNITS_MS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_LONGEST_MS: Final = (2**63 - 1) // 1_000_000
Value = TypeVar("Value")


def duration_ms(node: Node) -> int:
    """Return a duration as Prometheus writes them: `1d`, `1h30m`, `10s`, `0`."""
    text = node.text()
    found = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if not text or found is None:
        raise node.mistake(f"{text!r} is no duration; write it as 30s, 5m or 1h30m")
    total = sum(int(number or 0) * unit for number, unit in zip(found.groups(), _UNITS_MS, strict=True))
    if total > _LONGEST_MS:
        raise node.mistake(f"{text!r} is longer than 292 years")
    return total


def root_route(node: Node, receivers: Collection[str], intervals: Collection[str]) -> Route:
    """Return the routing tree. The root takes every alert, so it has a receiver and nothing that could refuse one."""
    fields = node.fields(_KEYS)
    for name in ("match", "match_re", "matchers"):
        if name in fields and fields[name].plain():
            raise fields[name].mistake("the root route takes every alert and must not have any matchers")
    for name in ("mute_time_intervals", "active_time_intervals"):
        if name in fields and fields[name].items():
            raise fields[name].mistake("the root route must not have any time intervals")
    if "continue" in fields and fields["continue"].flag():
        raise fields["continue"].mistake("the root route has no siblings to continue with")
    if "receiver" not in fields or not fields["receiver"].text():
        raise node.mistake("the root route needs a receiver, which hears of all that no other route takes")
    parent = Route(receiver="", key="")
    return _route(node, parent, receivers, intervals)


def _route(node: Node, parent: Route, receivers: Collection[str], intervals: Collection[str]) -> Route:
    fields = node.fields(_KEYS)
    matchers = matchers_of_sections(*(fields.get(name) for name in ("match", "match_re", "matchers")))
    is_root = not parent.key
    group_by, group_by_all = parent.group_by, parent.group_by_all
    if "group_by" in fields:
        group_by, group_by_all = _group_by(fields["group_by"])

    def inherited(name: str, read: Callable[[Node], Value], otherwise: Value) -> Value:
        return read(fields[name]) if name in fields else otherwise

    def intervals_of(each: Node) -> tuple[str, ...]:
        return tuple(_known(one, intervals, "time interval", "time_intervals") for one in each.items())

    def interval_ms(each: Node) -> int:
        value = duration_ms(each)
        if value == 0:
            raise each.mistake("must not be zero")
        return value

    for value in fields["labels"].pairs().values() if "labels" in fields else ():
        value.text()
    receiver = parent.receiver
    if "receiver" in fields and fields["receiver"].text():
        receiver = _known(fields["receiver"], receivers, "receiver", "receivers")
    route = Route(
        receiver=receiver,
        key=matchers_text(matchers) if is_root else f"{parent.key}/{matchers_text(matchers)}",
        matchers=matchers,
        goes_on=inherited("continue", Node.flag, otherwise=False),
        group_by=group_by,
        group_by_all=group_by_all,
        group_wait_ms=inherited("group_wait", duration_ms, GROUP_WAIT_MS if is_root else parent.group_wait_ms),
        group_interval_ms=inherited(
            "group_interval", interval_ms, GROUP_INTERVAL_MS if is_root else parent.group_interval_ms
        ),
        repeat_interval_ms=inherited(
            "repeat_interval", interval_ms, REPEAT_INTERVAL_MS if is_root else parent.repeat_interval_ms
        ),
        mute_intervals=inherited("mute_time_intervals", intervals_of, ()),
        active_intervals=inherited("active_time_intervals", intervals_of, ()),
    )
    children = fields["routes"].items() if "routes" in fields else []
    return _with_routes(route, tuple(_route(each, route, receivers, intervals) for each in children))


def _with_routes(route: Route, routes: tuple[Route, ...]) -> Route:
    values = {name: getattr(route, name) for name in Route.__struct_fields__}
    return Route(**(values | {"routes": routes}))


def _group_by(node: Node) -> tuple[tuple[str, ...], bool]:
    names: list[str] = []
    everything = False
    for each in node.items():
        name = each.text()
        if name == "...":
            everything = True
        elif not is_label_name(name):
            raise each.mistake(f"{name!r} is no name of a label")
        elif name in names:
            raise each.mistake(f"the label {name} stands here twice")
        else:
            names.append(name)
    if names and everything:
        raise node.mistake("`...` means all labels, so no other can stand beside it")
    return tuple(sorted(names)), everything


def _known(node: Node, known: Collection[str], what: str, where: str) -> str:
    name = node.text()
    if name not in known:
        raise node.mistake(f"there is no {what} {name!r} in {where}")
    return name
