"""The sections about people: chains, schedules, who goes through what, and maintenance, of one tree."""

from collections.abc import Callable, Collection
from typing import Any

from msgspec.structs import replace

from jobs.dispatch.native_sections import TreeSection
from jobs.dispatch.tenant_tree import of_tenant, own_name
from jobs.dispatch.yaml_node import Node, path_of
from udfs.alerting.calendar_silences import Maintenance
from udfs.alerting.escalation import Roster
from udfs.alerting.escalation_chain import (
    Chain,
    Person,
    Step,
    TellNext,
    TellOnCall,
    TellPeople,
    TellReceiver,
    check_chain,
)
from udfs.alerting.escalations import EscalationRule, EscalationSettings
from udfs.alerting.maintenance import check_window
from udfs.alerting.matcher import Matcher, all_match, in_order
from udfs.alerting.matcher_text import matchers_of
from udfs.alerting.on_call_schedule import OnCallSchedule, check_schedule, people_of
from udfs.alerting.throttle import Throttles, check_rate


def escalation_of(
    node: Node, tree: TreeSection, about: tuple[Matcher, ...], tenant_id: str, receivers: Collection[str]
) -> EscalationSettings:
    """Return the chains of a tree and whom they can tell, by their names in the whole; raises NodeError.

    `about` is what the alerts fulfil that go through the tree.
    """
    _check_people(node, tree, receivers)
    for name, schedule in tree.schedules.items():
        _check_schedule(node.at(("schedules", name)), schedule, tree.people)
    for name, chain in tree.chains.items():
        _checked(node.at(("chains", name)), check_chain, chain, receivers, tree.people, tree.schedules)
    return EscalationSettings(
        rules=_rules(node, tree, about, tenant_id, receivers),
        chains={own_name(tenant_id, name): _own_chain(chain, tenant_id) for name, chain in tree.chains.items()},
        roster=Roster(
            people={own_name(tenant_id, name): _own_person(each, tenant_id) for name, each in tree.people.items()},
            schedules={own_name(tenant_id, name): _own_schedule(s, tenant_id) for name, s in tree.schedules.items()},
        ),
    )


def joined(one: EscalationSettings, other: EscalationSettings) -> EscalationSettings:
    """Return the chains of two trees, the rules of the first before those of the other."""
    return EscalationSettings(
        rules=one.rules + other.rules,
        chains={**one.chains, **other.chains},
        roster=Roster(
            people={**one.roster.people, **other.roster.people},
            schedules={**one.roster.schedules, **other.roster.schedules},
        ),
    )


def maintenance_of(node: Node, tree: TreeSection, tenant_id: str) -> list[Maintenance]:
    """Return the maintenance windows of a tree, by their names in the whole; raises NodeError."""
    found = []
    names: set[str] = set()
    for number, window in enumerate(tree.maintenance):
        at = node.at(("maintenance", number))
        _checked(at, check_window, window)
        if window.name in names:
            raise at.at(("name",)).mistake(f"there is a window {window.name} already")
        names.add(window.name)
        matchers = _matchers(at, window.matchers)
        if all_match(matchers, {}):
            raise at.at(("matchers",)).mistake(
                'at least one matcher must not match the empty value; alertname=~".+" is every alert'
            )
        own = replace(window, name=own_name(tenant_id, window.name))
        found.append(Maintenance(window=own, matchers=in_order((*matchers, *of_tenant(tenant_id)))))
    return found


def throttles_of(
    node: Node, tree: TreeSection, tenant_id: str, receivers: Collection[str], others: Throttles
) -> Throttles:
    """Return the throttles of other trees and of this one, by their names in the whole; raises NodeError."""
    at = node.at(("throttles",))
    for name, rate in tree.throttles.receivers.items():
        _known(at.at(("receivers", name)), "receiver", name, receivers)
        _checked(at.at(("receivers", name)), check_rate, rate)
    each_tenant = tree.throttles.each_tenant
    if each_tenant is not None:
        _checked(at.at(("each_tenant",)), check_rate, each_tenant)
    own = {own_name(tenant_id, name): rate for name, rate in tree.throttles.receivers.items()}
    return Throttles(
        receivers={**others.receivers, **own},
        tenants={**others.tenants, tenant_id: each_tenant} if tenant_id and each_tenant else others.tenants,
        each_tenant=others.each_tenant if tenant_id else each_tenant,
    )


def _check_people(node: Node, tree: TreeSection, receivers: Collection[str]) -> None:
    for name, person in tree.people.items():
        for field, reached_by in (("receivers", person.receivers), ("important", person.important)):
            for number, receiver in enumerate(reached_by):
                _known(node.at(("people", name, field, number)), "receiver", receiver, receivers)


def _check_schedule(node: Node, schedule: OnCallSchedule, people: Collection[str]) -> None:
    _checked(node, check_schedule, schedule)
    for place, person in people_of(schedule):
        _known(node.at(path_of(place)), "person", person, people)


def _rules(
    node: Node, tree: TreeSection, about: tuple[Matcher, ...], tenant_id: str, receivers: Collection[str]
) -> tuple[EscalationRule, ...]:
    rules = []
    for number, each in enumerate(tree.escalations):
        at = node.at(("escalations", number))
        _known(at.at(("chain",)), "chain", each.chain, tree.chains)
        if each.receiver is not None:
            _known(at.at(("receiver",)), "receiver", each.receiver, receivers)
        rules.append(
            EscalationRule(
                chain=own_name(tenant_id, each.chain),
                matchers=in_order((*_matchers(at, each.matchers), *about)),
                receiver=None if each.receiver is None else own_name(tenant_id, each.receiver),
            )
        )
    return tuple(rules)


def _known(node: Node, kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise node.mistake(f"there is no {kind} {name}; there are {', '.join(sorted(known)) or 'none at all'}")


def _own_chain(chain: Chain, tenant_id: str) -> Chain:
    return replace(chain, steps=tuple(_own_step(step, tenant_id) for step in chain.steps))


def _own_step(step: Step, tenant_id: str) -> Step:
    match step:
        case TellReceiver():
            return replace(step, receiver=own_name(tenant_id, step.receiver))
        case TellOnCall():
            return replace(step, schedule=own_name(tenant_id, step.schedule))
        case TellPeople() | TellNext():
            return replace(step, people=tuple(own_name(tenant_id, name) for name in step.people))
        case _:
            return step


def _own_person(person: Person, tenant_id: str) -> Person:
    return Person(
        receivers=tuple(own_name(tenant_id, name) for name in person.receivers),
        important=tuple(own_name(tenant_id, name) for name in person.important),
    )


def _own_schedule(schedule: OnCallSchedule, tenant_id: str) -> OnCallSchedule:
    return replace(
        schedule,
        layers=tuple(
            replace(layer, people=tuple(own_name(tenant_id, name) for name in layer.people))
            for layer in schedule.layers
        ),
        overrides=tuple(replace(each, person=own_name(tenant_id, each.person)) for each in schedule.overrides),
    )


def _matchers(node: Node, texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    found: list[Matcher] = []
    for number, text in enumerate(texts):
        try:
            found += matchers_of(text)
        except ValueError as error:
            raise node.at(("matchers", number)).mistake(str(error)) from None
    return tuple(found)


def _checked(node: Node, check: Callable[..., None], *values: Any) -> None:
    """Run a check whose errors begin with a place below the node."""
    try:
        check(*values)
    except ValueError as error:
        place, _, reason = str(error).partition(": ")
        raise node.at(path_of(place)).mistake(reason or place) from None
