"""Actions of a definition that are receivers of their own: a webhook, and an incident in a service that keeps them."""

from typing import Final

from schemas.alert import AlertAction, AlertDefinition
from udfs.alerting.receivers.decoding import ReceiverError, receiver_of
from udfs.alerting.receivers.defaults import ReceiverDefaults
from udfs.alerting.receivers.receiver import Receiver

SERVICES: Final = ("incidentio", "jira", "opsgenie", "pagerduty", "victorops")
"""Where the action `incident` may open one: the group's, closed when the alert ends."""


def action_receivers(definition: AlertDefinition, defaults: ReceiverDefaults) -> tuple[Receiver, ...]:
    """Return a receiver with one channel for each action that is one, named by definition, type and position.

    Raises ReceiverError with the path within the definition.
    """
    return tuple(
        _receiver(each, f"{definition.alert_id}.{each.type}[{number}]", defaults, ("actions", number, "config"))
        for number, each in enumerate(definition.actions)
        if each.type in ("webhook", "incident")
    )


def _receiver(action: AlertAction, name: str, defaults: ReceiverDefaults, path: tuple[str | int, ...]) -> Receiver:
    kind, config = "webhook", dict(action.config)
    if action.type == "incident":
        kind = str(config.pop("service", ""))
        if kind not in SERVICES:
            raise ReceiverError((*path, "service"), f"an incident is opened in one of {', '.join(SERVICES)}")
    try:
        return receiver_of({"name": name, f"{kind}_configs": [config]}, defaults)
    except ReceiverError as error:
        _, _, *within = error.path
        raise ReceiverError((*path, *within), error.reason) from None
