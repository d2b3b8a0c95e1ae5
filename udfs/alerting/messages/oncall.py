"""Requests to Opsgenie, VictorOps and Pushover."""

from typing import Any, Final
from urllib.parse import quote, urlencode

from udfs.alerting.messages.context import HttpRequest, MessageContext, shortened
from udfs.alerting.receivers.oncall import OpsgenieConfig, PushoverConfig, VictoropsConfig
from udfs.alerting.receivers.secret import Secret
from udfs.templates.go_json import go_json

_OPSGENIE_MESSAGE: Final = 130
_VICTOROPS_MESSAGE: Final = 20_480
_PUSHOVER_TITLE, _PUSHOVER_MESSAGE, _PUSHOVER_URL = 250, 1_024, 512
PUSHOVER_URL: Final = "https://api.pushover.net/1/messages.json"


def opsgenie_requests(config: OpsgenieConfig, context: MessageContext) -> tuple[HttpRequest, ...]:
    """Return the requests in order: create or close; with `update_alerts` also changes of message and description."""
    api = f"{context.text(config.api_url).rstrip('/')}/v2/alerts"
    alias = context.group_hash
    headers = (("Authorization", Secret(f"GenieKey {context.reveal(config.key, 'api_key')}")),)
    source = context.text(config.source)
    if not context.is_firing:
        url = f"{api}/{alias}/close?identifierType=alias"
        return (HttpRequest(url=Secret(url), body=go_json({"source": source}).encode(), headers=headers),)
    details = {
        **context.notification.common_labels,
        **{key: context.text(each) for key, each in config.details.items()},
    }
    message: dict[str, Any] = {
        "alias": alias,
        "message": shortened(context.text(config.message), _OPSGENIE_MESSAGE),
        "description": context.text(config.description),
        "details": details,
        "source": source,
        "responders": _responders(config, context),
        "tags": _split(context.text(config.tags)),
        "note": context.text(config.note),
        "priority": context.text(config.priority),
        "entity": context.text(config.entity),
        "actions": _split(context.text(config.actions)),
    }
    created = go_json({name: each for name, each in message.items() if each}).encode()
    requests = [HttpRequest(url=Secret(api), body=created, headers=headers)]
    if config.update_alerts:
        requests += [
            HttpRequest(
                url=Secret(f"{api}/{alias}/{name}?identifierType=alias"),
                body=go_json({name: message[name]}).encode(),
                method="PUT",
                headers=headers,
            )
            for name in ("message", "description")
        ]
    return tuple(requests)


def victorops_request(config: VictoropsConfig, context: MessageContext) -> HttpRequest:
    """Return the request for the group's entity."""
    message = {name: context.text(each) for name, each in config.custom_fields.items()} | {
        "message_type": context.text(config.message_type) if context.is_firing else "RECOVERY",
        "entity_id": context.group_hash,
        "entity_display_name": context.text(config.entity_display_name),
        "state_message": shortened(context.text(config.state_message), _VICTOROPS_MESSAGE),
        "monitoring_tool": context.text(config.monitoring_tool),
    }
    key, routing = context.reveal(config.key, "api_key"), context.text(config.routing_key)
    url = f"{context.text(config.api_url).rstrip('/')}/{quote(key, safe='')}/{quote(routing, safe='')}"
    return HttpRequest(url=Secret(url), body=go_json(message).encode())


def pushover_request(config: PushoverConfig, context: MessageContext) -> HttpRequest:
    """Return the request to the phone; an empty message would be refused, so it says that there are no details."""
    message = context.html(config.message) if config.html else context.text(config.message)
    form = {
        "token": context.reveal(config.application, "token"),
        "user": context.reveal(config.user, "user_key"),
        "title": shortened(context.text(config.title), _PUSHOVER_TITLE),
        "message": shortened(message.strip(), _PUSHOVER_MESSAGE) or "(no details)",
        "url": shortened(context.text(config.url), _PUSHOVER_URL),
        "url_title": context.text(config.url_title),
        "priority": context.text(config.priority),
        "retry": str(config.retry // 1_000),
        "expire": str(config.expire // 1_000),
        "device": context.text(config.device),
        "sound": context.text(config.sound),
        "ttl": str(config.ttl // 1_000) if config.ttl else "",
        "html": "1" if config.html else "",
        "monospace": "1" if config.monospace else "",
    }
    body = urlencode({name: value for name, value in form.items() if value}).encode()
    return HttpRequest(url=Secret(PUSHOVER_URL), body=body, content_type="application/x-www-form-urlencoded")


def _responders(config: OpsgenieConfig, context: MessageContext) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for each in config.responders:
        made = {name: context.text(getattr(each, name)) for name in ("id", "name", "username", "type")}
        made["type"] = made["type"].lower()
        if not (made["id"] or made["name"] or made["username"]):
            continue
        if made["type"] == "teams":
            found += [{"name": team, "type": "team"} for team in _split(made["name"])]
        else:
            found.append({name: value for name, value in made.items() if value})
    return found


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
