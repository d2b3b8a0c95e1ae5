"""The section `definitions` of a tree: alerts of anomalies and summaries, and who is told of them."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from jobs.dispatch.configuration import Configuration
from jobs.dispatch.native_sections import TreeSection
from jobs.dispatch.tenant_tree import own_name
from jobs.dispatch.yaml_node import Node, NodeError, path_of
from schemas.alert import AlertDefinition
from udfs.alerting.action_receivers import action_receivers
from udfs.alerting.definition import check_definition, notification_of
from udfs.alerting.matcher import Matcher, MatchKind, matchers_text
from udfs.alerting.receivers.decoding import ReceiverError
from udfs.alerting.receivers.receiver import Receiver
from udfs.alerting.route import Route


class Defined(NamedTuple):
    """A definition and the receivers that its actions are."""

    definition: AlertDefinition
    receivers: tuple[Receiver, ...]


def definitions_of(node: Node, tree: TreeSection, tenant_id: str, routes: Configuration) -> list[Defined]:
    """Return the definitions of a tree, each with the receivers that its actions are, by their names in the whole.

    `routes` is the Alertmanager part of the tree. Raises NodeError.
    """
    found: list[Defined] = []
    names: set[str] = set()
    for number, each in enumerate(tree.definitions):
        at = node.at(("definitions", number))
        try:
            check_definition(replace(each, tenant_id=each.tenant_id or tenant_id or None), routes.receivers)
        except ValueError as error:
            place, _, reason = str(error).partition(": ")
            raise at.at(path_of(place)).mistake(reason or place) from None
        if each.alert_id in names:
            raise at.at(("alert_id",)).mistake(f"there is a definition {each.alert_id} already")
        names.add(each.alert_id)
        named = _own(at, each, tenant_id) if tenant_id else each
        try:
            found.append(Defined(named, action_receivers(named, routes.defaults)))
        except ReceiverError as error:
            raise NodeError((*at.path, *error.path), at.at(error.path).line, error.reason) from None
    return found


def routes_of(defined: Iterable[Defined], root: Route) -> tuple[Route, ...]:
    """Return the routes to the receivers of definitions, to stand before those of a tree.

    Those that its actions are hear of an alert besides whoever else does; those that its notification names, in place
    of whoever the tree says.
    """
    routes = []
    for definition, own in defined:
        matchers = (Matcher("alert_id", MatchKind.EQUAL, definition.alert_id),)
        named = notification_of(definition).receivers
        receivers = (*(receiver.name for receiver in own), *named)
        for number, receiver in enumerate(receivers):
            routes.append(
                replace(
                    root,
                    receiver=receiver,
                    key=f"{root.key}/{matchers_text(matchers)}",
                    matchers=matchers,
                    goes_on=not named or number < len(receivers) - 1,
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
