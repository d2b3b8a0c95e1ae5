"""The section `definitions` of a tree: alerts of anomalies and summaries, and who is told of them by name."""

from collections.abc import Collection

import msgspec
from msgspec.structs import replace

from jobs.dispatch.native_sections import TreeSection
from jobs.dispatch.tenant_tree import own_name
from jobs.dispatch.yaml_node import Node, NodeError, path_of
from schemas.alert import AlertDefinition
from udfs.alerting.definition import check_definition, notification_of
from udfs.alerting.matcher import Matcher, MatchKind, matchers_text
from udfs.alerting.route import Route


def definitions_of(
    node: Node, tree: TreeSection, tenant_id: str, receivers: Collection[str]
) -> tuple[AlertDefinition, ...]:
    """Return the definitions of a tree, by their names in the whole; raises NodeError."""
    found = []
    names: set[str] = set()
    for number, each in enumerate(tree.definitions):
        at = node.at(("definitions", number))
        try:
            check_definition(replace(each, tenant_id=each.tenant_id or tenant_id or None), receivers)
        except ValueError as error:
            place, _, reason = str(error).partition(": ")
            raise at.at(path_of(place)).mistake(reason or place) from None
        if each.alert_id in names:
            raise at.at(("alert_id",)).mistake(f"there is a definition {each.alert_id} already")
        names.add(each.alert_id)
        found.append(_own(at, each, tenant_id) if tenant_id else each)
    return tuple(found)


def routes_of(definitions: tuple[AlertDefinition, ...], root: Route) -> tuple[Route, ...]:
    """Return the routes to the receivers that definitions name, to stand before those of a tree."""
    routes = []
    for each in definitions:
        matchers = (Matcher("alert_id", MatchKind.EQUAL, each.alert_id),)
        receivers = notification_of(each).receivers
        for number, receiver in enumerate(receivers):
            routes.append(
                replace(
                    root,
                    receiver=receiver,
                    key=f"{root.key}/{matchers_text(matchers)}",
                    matchers=matchers,
                    goes_on=number < len(receivers) - 1,
                    routes=(),
                )
            )
    return tuple(routes)


def _own(node: Node, definition: AlertDefinition, tenant_id: str) -> AlertDefinition:
    if definition.tenant_id not in {None, tenant_id}:
        place = node.at(("tenant_id",))
        raise NodeError(place.path, place.line, f"a tenant's definitions are about its own alerts: {tenant_id}")
    config = notification_of(definition)
    named = replace(config, receivers=tuple(own_name(tenant_id, name) for name in config.receivers))
    return replace(
        definition,
        alert_id=f"{tenant_id}.{definition.alert_id}",
        tenant_id=tenant_id,
        actions=tuple(
            replace(each, config=msgspec.to_builtins(named)) if each.type == "notification" else each
            for each in definition.actions
        ),
    )
