"""The native configuration of dispatch: an Alertmanager configuration, and who is told next if nobody takes it on."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from jobs.dispatch import configuration as alertmanager
from jobs.dispatch.configuration import Configuration, ConfigurationError, channels_of
from jobs.dispatch.definition_section import Defined, definitions_of, routes_of
from jobs.dispatch.escalation_section import escalation_of, joined, maintenance_of, throttles_of
from jobs.dispatch.native_sections import NativeSection, TreeSection
from jobs.dispatch.tenant_tree import of_no_tenant, of_tenant, with_trees
from jobs.dispatch.text_file import read_text
from jobs.dispatch.yaml_node import Node, NodeError, document, path_of
from jobs.dispatch.yaml_node import Path as NodePath
from udfs.alerting.calendar_silences import Maintenance
from udfs.alerting.escalations import EscalationSettings
from udfs.alerting.storm import StormLimit, StormLimits
from udfs.alerting.throttle import Throttles
from udfs.alerting.wall_clock import duration_ms

_PLACE: Final = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<key>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<field>[^`]*)`$")


def load(file: Path) -> Configuration:
    """Return the configuration in a file, native or a plain `alertmanager.yml`.

    Raises ConfigurationError, or SentinelError if it cannot be read.
    """
    return parse(read_text(file), str(file), file.parent)


def parse(text: str, source: str, folder: Path) -> Configuration:
    """Return the configuration in a text; file names in it are relative to the folder. Raises ConfigurationError."""
    try:
        root = document(text)
        if root is None or "alertmanager" not in root.pairs():
            return alertmanager.parse(text, source, folder)
        return replace(_whole(root, folder), original=text)
    except NodeError as mistake:
        raise ConfigurationError(source, mistake) from None


def _whole(root: Node, folder: Path) -> Configuration:
    section = _converted(root)
    trees: dict[str, tuple[Node, TreeSection]] = {"": (root, section)}
    for tenant_id, node in root.pairs()["tenants"].pairs().items() if section.tenants else ():
        trees[tenant_id] = node, section.tenants[tenant_id]
    routes = {tenant_id: _routes(node.pairs()["alertmanager"], folder) for tenant_id, (node, _) in trees.items()}
    whole = with_trees(routes[""], {tenant_id: each for tenant_id, each in routes.items() if tenant_id})
    escalation = EscalationSettings()
    calendar: list[Maintenance] = []
    defined: list[Defined] = []
    throttles = Throttles()
    for tenant_id, (node, tree) in trees.items():
        about = of_tenant(tenant_id) if tenant_id else of_no_tenant(section.tenants)
        escalation = joined(escalation, escalation_of(node, tree, about, tenant_id, routes[tenant_id].receivers))
        calendar += maintenance_of(node, tree, tenant_id)
        throttles = throttles_of(node, tree, tenant_id, routes[tenant_id].receivers, throttles)
        defined += definitions_of(node, tree, tenant_id, routes[tenant_id])
    own = {receiver.name: receiver for each in defined for receiver in each.receivers}
    settings = replace(
        whole.settings,
        escalation=escalation,
        maintenance=tuple(calendar),
        throttles=throttles,
        storms=_storms(root, section),
        receivers=whole.settings.receivers | {name: channels_of(each) for name, each in own.items()},
    )
    route = settings.route
    route = replace(route, routes=(*routes_of(defined, route), *route.routes))
    return replace(
        whole,
        settings=replace(settings, route=route),
        definitions=tuple(each.definition for each in defined),
        receivers=whole.receivers | own,
    )


def _storms(root: Node, section: NativeSection) -> StormLimits:
    own = {tenant_id: tree.storm for tenant_id, tree in section.tenants.items() if tree.storm is not None}
    places: list[tuple[NodePath, StormLimit | None]] = [((), section.storm)]
    for path, limit in [*places, *((("tenants", name), each) for name, each in own.items())]:
        try:
            duration_ms("0s" if limit is None else limit.calm)
        except ValueError as error:
            raise root.at((*path, "storm", "calm")).mistake(str(error)) from None
    return StormLimits(tenants=own, each=section.storm)


def _routes(node: Node, folder: Path) -> Configuration:
    """Return the Alertmanager part of a tree, which stands here or in a file of its own."""
    if isinstance(node.core(), str):
        return alertmanager.load(folder / node.text())
    return alertmanager.configuration_of(node, folder)


def _converted(root: Node) -> NativeSection:
    """Return the file as its struct; what has another type, is missing or unknown is a NodeError with its place."""
    raw = root.core()
    try:
        return msgspec.convert(raw, NativeSection)
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        problem, place = (found["problem"], found["path"] or "") if found else (str(error), "")
        unknown = _UNKNOWN.match(problem)
        path = _exact(raw, path_of(place), str(error))
        if unknown:
            path, problem = (*path, unknown["field"]), "no key has this name here"
        node = root.at(path)
        raise NodeError(path, node.line, f"{problem[:1].lower()}{problem[1:].replace('`', '')}") from None


def _exact(raw: Any, path: NodePath, problem: str) -> NodePath:
    """Return a path of msgspec's, which says `...` for any key of a mapping, with the keys where the problem is."""
    exact: NodePath = ()
    for step in path:
        if step != "...":
            exact = (*exact, step)
            continue
        for name in _at(raw, exact):
            alone = deepcopy(raw)
            mapping = _at(alone, exact)
            for other in [each for each in mapping if each != name]:
                del mapping[other]
            if _problem(alone) == problem:
                raw, exact = alone, (*exact, name)
                break
    return exact


def _at(raw: Any, path: NodePath) -> Any:
    for step in path:
        raw = raw[step]
    return raw


def _problem(raw: Any) -> str:
    try:
        msgspec.convert(raw, NativeSection)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
