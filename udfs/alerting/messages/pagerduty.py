"""PagerDuty's Events API: trigger, acknowledge, resolve and change events of version 2, and version 1.

Limits: summary 1,024 characters, deduplication key 255, body 512 kB. Source: PagerDuty, Events API v2 overview.
"""

from typing import Any, Final

from schemas.time import from_at_ms
from udfs.alerting.messages.context import HttpRequest, MessageContext, shortened
from udfs.alerting.notification import NotificationReason
from udfs.alerting.receivers.pagerduty import DETAILS, PagerdutyConfig
from udfs.alerting.receivers.secret import Secret
from udfs.templates.go_json import go_json

SUMMARY_MOST: Final = 1_024
BODY_MOST: Final = 512_000
V1_URL: Final = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
_SEVERITIES: Final = ("critical", "error", "warning", "info")
_TOO_LARGE: Final = {"error": "Custom details have been left out: the event would exceed PagerDuty's 512 kB."}


def pagerduty_request(config: PagerdutyConfig, context: MessageContext) -> HttpRequest:
    """Return the request for one notification."""
    if config.event == "change":
        return _change(config, context)
    if config.routing is None:
        return _version_1(config, context)
    event: dict[str, Any] = {
        "routing_key": context.reveal(config.routing, "routing_key"),
        "dedup_key": context.group_hash,
        "event_action": _action(context),
        "client": context.text(config.client),
        "client_url": context.text(config.client_url),
        "images": [image for image in context.rendered([_parts(each) for each in config.images]) if image["src"]],
        "links": _links(config, context),
        "payload": {
            "summary": shortened(context.text(config.description), SUMMARY_MOST),
            "source": context.text(config.source or config.client) or "LLM-Sentinel",
            "severity": _severity(config, context),
            "timestamp": from_at_ms(min(alert.starts_at_ms for alert in context.notification.alerts)),
            "class": context.text(config.class_),
            "component": context.text(config.component),
            "group": context.text(config.group),
            "custom_details": _details(config, context),
        },
    }
    event["payload"] = {name: value for name, value in event["payload"].items() if value}
    event = {name: value for name, value in event.items() if value}
    body = go_json(event).encode()
    if len(body) > BODY_MOST:
        event["payload"]["custom_details"] = _TOO_LARGE
        body = go_json(event).encode()
    return HttpRequest(url=Secret(context.text(config.url)), body=body)


def _action(context: MessageContext) -> str:
    if not context.is_firing:
        return "resolve"
    return "acknowledge" if context.notification.reason is NotificationReason.ACKNOWLEDGED else "trigger"


def _severity(config: PagerdutyConfig, context: MessageContext) -> str:
    if config.severity:
        return context.text(config.severity)
    label = context.notification.common_labels.get("severity", "").lower()
    return label if label in _SEVERITIES else "error"


def _details(config: PagerdutyConfig, context: MessageContext) -> Any:
    return context.rendered({**DETAILS, **config.details})


def _links(config: PagerdutyConfig, context: MessageContext) -> list[dict[str, str]]:
    links = [link for link in context.rendered([_parts(each) for each in config.links]) if link["href"]]
    for alert in context.data.Alerts.Firing()[:5]:
        links += [
            {"href": alert.Annotations[name], "text": text}
            for name, text in (("link", "Details"), ("runbook_url", "Runbook"))
            if alert.Annotations.get(name)
        ]
    return [dict(each) for each in {tuple(link.items()): None for link in links}]


def _parts(part: Any) -> dict[str, str]:
    return {name: getattr(part, name) for name in part.__struct_fields__}


def _change(config: PagerdutyConfig, context: MessageContext) -> HttpRequest:
    url = context.text(config.url).removesuffix("/enqueue") + "/change/enqueue"
    event = {
        "routing_key": context.reveal(config.routing, "routing_key"),
        "payload": {
            "summary": shortened(context.text(config.description), SUMMARY_MOST),
            "source": context.text(config.source or config.client),
            "timestamp": from_at_ms(context.notification.created_at_ms),
            "custom_details": dict(context.notification.common_labels),
        },
        "links": _links(config, context),
    }
    return HttpRequest(url=Secret(url), body=go_json(event).encode())


def _version_1(config: PagerdutyConfig, context: MessageContext) -> HttpRequest:
    event: dict[str, Any] = {
        "service_key": context.reveal(config.service, "service_key"),
        "incident_key": context.group_hash,
        "event_type": _action(context),
        "description": shortened(context.text(config.description), SUMMARY_MOST),
        "details": _details(config, context),
    }
    if event["event_type"] == "trigger":
        event |= {"client": context.text(config.client), "client_url": context.text(config.client_url)}
    body = go_json(event).encode()
    if len(body) > BODY_MOST:
        body = go_json(event | {"details": _TOO_LARGE}).encode()
    return HttpRequest(url=Secret(V1_URL), body=body)
