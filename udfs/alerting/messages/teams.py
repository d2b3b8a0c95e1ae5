"""Microsoft Teams: an adaptive card for workflows, a message card for connectors; both within 28 kB."""

from typing import Final

from udfs.alerting.messages.context import HttpRequest, MessageContext, shortened_bytes
from udfs.alerting.receivers.teams import MsteamsConfig, Msteamsv2Config
from udfs.alerting.receivers.text import default
from udfs.templates.go_json import go_json

TEXT_MOST: Final = 20_000
"""Bytes of the text, so that the whole card stays within the 28 kB that Teams takes."""
_RED, _GREEN = "8C1A1A", "2DC72D"


def msteams_request(config: MsteamsConfig, context: MessageContext) -> HttpRequest:
    """Return the message card."""
    text = context.text(default("msteams.default.text") if config.text is None else config.text)
    card = {
        "@context": "http://schema.org/extensions",
        "@type": "MessageCard",
        "title": context.text(config.title),
        "summary": context.text(config.summary),
        "text": shortened_bytes(text, TEXT_MOST),
        "themeColor": _RED if context.is_firing else _GREEN,
    }
    return HttpRequest(url=context.url(config.target, "webhook_url"), body=go_json(card).encode())


def msteamsv2_request(config: Msteamsv2Config, context: MessageContext) -> HttpRequest:
    """Return the adaptive card, with a button per link of the first alerts."""
    text = context.text(default("msteamsv2.default.text") if config.text is None else config.text)
    links = [
        {"type": "Action.OpenUrl", "title": title, "url": alert.Annotations[name]}
        for alert in context.data.Alerts[:2]
        for name, title in (("link", "Open"), ("runbook_url", "Runbook"))
        if alert.Annotations.get(name, "").startswith(("http://", "https://"))
    ]
    content: dict[str, object] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [
            {
                "type": "TextBlock",
                "text": context.text(config.title),
                "weight": "Bolder",
                "size": "Medium",
                "wrap": True,
                "style": "heading",
                "color": "Attention" if context.is_firing else "Good",
            },
            {"type": "TextBlock", "text": shortened_bytes(text, TEXT_MOST), "wrap": True},
        ],
        "msteams": {"width": "full"},
    }
    if links:
        content["actions"] = links
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    body = go_json({"type": "message", "attachments": [attachment]})
    return HttpRequest(url=context.url(config.target, "webhook_url"), body=body.encode())
