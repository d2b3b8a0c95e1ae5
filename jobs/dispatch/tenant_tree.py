"""A tenant's own tree as a part of the whole: all in it gets the tenant's name and is about its alerts alone."""

from collections.abc import Iterable

from msgspec.structs import replace

from jobs.dispatch.configuration import Configuration
from udfs.alerting.inhibition import InhibitRule
from udfs.alerting.matcher import Matcher, MatchKind, in_order, matchers_text
from udfs.alerting.route import Route

TENANT_LABEL = "tenant_id"


def own_name(tenant_id: str, name: str) -> str:
    """Return the name in the whole of something of a tenant's; the operators' (the empty tenant) is as it is."""
    return f"{tenant_id}/{name}" if tenant_id else name


def of_tenant(tenant_id: str) -> tuple[Matcher, ...]:
    """Return what the alerts of a tenant fulfil; everybody's, for the empty tenant."""
    return (Matcher(TENANT_LABEL, MatchKind.EQUAL, tenant_id),) if tenant_id else ()


def of_no_tenant(tenants: Iterable[str]) -> tuple[Matcher, ...]:
    """Return what the alerts fulfil that are of none of the tenants."""
    return tuple(Matcher(TENANT_LABEL, MatchKind.NOT_EQUAL, tenant_id) for tenant_id in tenants)


def with_trees(operators: Configuration, tenants: dict[str, Configuration]) -> Configuration:
    """Return one configuration of all trees: a tenant's alerts go its own way, and all others the operators'."""
    receivers = dict(operators.receivers)
    settings = operators.settings
    channels, intervals = dict(settings.receivers), dict(settings.intervals)
    rules, routes = list(settings.inhibit_rules), []
    templates, warnings = list(operators.templates), list(operators.warnings)
    for tenant_id, each in tenants.items():
        routes.append(_tenant_route(each.settings.route, tenant_id))
        rules += [_tenant_rule(rule, tenant_id) for rule in each.settings.inhibit_rules]
        for name, receiver in each.receivers.items():
            receivers[own_name(tenant_id, name)] = replace(receiver, name=own_name(tenant_id, name))
            channels[own_name(tenant_id, name)] = each.settings.receivers[name]
        intervals |= {own_name(tenant_id, name): parts for name, parts in each.settings.intervals.items()}
        templates += each.templates
        warnings += [f"tenant {tenant_id}: {warning}" for warning in each.warnings]
        if each.settings.resolve_timeout_ms != settings.resolve_timeout_ms:
            warnings.append(f"tenant {tenant_id}: resolve_timeout has no effect; the operators' holds for all alerts")
    return replace(
        operators,
        receivers=receivers,
        settings=replace(
            settings,
            route=replace(settings.route, routes=(*routes, *settings.route.routes)),
            receivers=channels,
            intervals=intervals,
            inhibit_rules=tuple(rules),
        ),
        templates=tuple(dict.fromkeys(templates)),
        warnings=tuple(warnings),
    )


def _tenant_route(root: Route, tenant_id: str) -> Route:
    matchers = of_tenant(tenant_id)
    key = f"{{}}/{matchers_text(matchers)}"
    return replace(_renamed(root, tenant_id, key), matchers=matchers)


def _renamed(route: Route, tenant_id: str, key: str) -> Route:
    return replace(
        route,
        receiver=own_name(tenant_id, route.receiver),
        key=key,
        mute_intervals=tuple(own_name(tenant_id, name) for name in route.mute_intervals),
        active_intervals=tuple(own_name(tenant_id, name) for name in route.active_intervals),
        routes=tuple(_renamed(child, tenant_id, f"{key}/{matchers_text(child.matchers)}") for child in route.routes),
    )


def _tenant_rule(rule: InhibitRule, tenant_id: str) -> InhibitRule:
    own = of_tenant(tenant_id)
    sources = tuple(replace(source, matchers=in_order((*source.matchers, *own))) for source in rule.sources)
    name = own_name(tenant_id, rule.name) if rule.name else ""
    return InhibitRule(sources=sources, target=in_order((*rule.target, *own)), name=name)
