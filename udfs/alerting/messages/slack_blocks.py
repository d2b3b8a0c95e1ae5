"""Slack's Block Kit: one header, and per alert what happened, numbers beside one another, cause, what to do, buttons.

Limits: 50 blocks, section 3,000 characters, header 150, 10 fields of 2,000, button 75, URL 3,000; all blocks together
stay below 12,000 characters, since Slack refuses more without saying so. Source: Slack, Block Kit reference.
"""

import json
from typing import Any, Final

from udfs.alerting.from_anomaly import ALERTS_OF_OURS
from udfs.alerting.messages.context import MessageContext, shortened
from udfs.templates.values import AlertData

HEADER_MOST: Final = 150
SECTION_MOST: Final = 3_000
FIELD_MOST: Final = 2_000
URL_MOST: Final = 3_000
BLOCKS_MOST: Final = 50
ALL_MOST: Final = 12_000
_DESCRIPTION_MOST = 1_200
_VALUE_MOST = 300
_NARROW_MOST = 80
"""Characters of a value that stands beside another; a longer one has the whole width."""
_LABELS_TOLD = 10
_ICONS: Final = {"critical": "🔴", "warning": "🟠", "info": "🔵"}
_FACTS: Final = (("Observed", "observed"), ("Expected", "expected"), ("Since", "since"), ("Who", "entities"))

Block = dict[str, Any]


def blocks_of(context: MessageContext) -> list[Block]:
    """Return the blocks of a notification; alerts that do not fit are counted in the last one."""
    head: list[Block] = [_header(context)]
    alerts = [*context.data.Alerts.Firing(), *context.data.Alerts.Resolved()]
    foot = _footer(context, 0)
    blocks: list[Block] = []
    told = 0
    for alert in alerts:
        more = ([{"type": "divider"}] if blocks else []) + _alert(alert, is_alone=len(alerts) == 1)
        # Room for the last block is kept free.
        if len(head) + len(blocks) + len(more) + 1 > BLOCKS_MOST or _size(head + blocks + more + foot) > ALL_MOST:
            break
        blocks += more
        told += 1
    return head + blocks + _footer(context, len(alerts) - told + context.notification.truncated_alerts)


def _size(blocks: list[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False))


def _header(context: MessageContext) -> Block:
    alerts = context.data.Alerts
    firing, resolved = len(alerts.Firing()), len(alerts.Resolved())
    severity = context.notification.common_labels.get("severity", "")
    icon = _ICONS.get(severity, "🔴") if firing else "✅"
    first = alerts[0]
    title = first.Annotations.get("summary") or first.Labels.get("alertname", "Alert")
    if len(alerts) > 1:
        counted = [f"{firing} firing"] * bool(firing) + [f"{resolved} resolved"] * bool(resolved)
        title = context.notification.common_annotations.get("summary") or title
        title = f"{title} ({', '.join(counted)})"
    elif not firing:
        title = f"Over: {title}"
    text = shortened(f"{icon} {title}", HEADER_MOST)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _alert(alert: AlertData, *, is_alone: bool) -> list[Block]:
    said = alert.Annotations
    is_over = alert.Status == "resolved"
    title = said.get("summary") or alert.Labels.get("alertname", "Alert")
    # Of one alert alone the header says it already.
    lines = [] if is_alone else [f"*{'Over: ' if is_over else ''}{_escaped(shortened(title, _VALUE_MOST))}*"]
    if said.get("description"):
        lines.append(_escaped(shortened(said["description"], _DESCRIPTION_MOST)))
    blocks: list[Block] = [_section("\n".join(lines))] if any(map(str.strip, lines)) else []
    if ALERTS_OF_OURS in alert.Labels:
        facts = [(name, said[key]) for name, key in _FACTS if said.get(key)]
        if is_over:
            facts.append(("Until", alert.EndsAt.in_zone("UTC").formatted("2006-01-02 15:04:05 MST")))
    else:
        facts = [(name, value) for name, value in sorted(alert.Labels.items()) if value][:_LABELS_TOLD]
    if facts:
        short = [each for each in facts if len(each[1]) <= _NARROW_MOST]
        if short:
            blocks.append({"type": "section", "fields": [_fact(name, value) for name, value in short[:10]]})
        blocks += [_section(_fact(name, value)["text"]) for name, value in facts if len(value) > _NARROW_MOST]
    if said.get("cause"):
        blocks.append(_section(f"*Likely cause*  {_escaped(shortened(said['cause'], _DESCRIPTION_MOST))}"))
    if said.get("what_to_do") and not is_over:
        blocks.append(_section(f"*What to do*  {_escaped(shortened(said['what_to_do'], _DESCRIPTION_MOST))}"))
    buttons = [
        _button(text, url)
        for text, url in (
            ("Open", said.get("link") or alert.GeneratorURL),
            ("Runbook", said.get("runbook_url") or said.get("runbook", "")),
        )
        if url.startswith(("http://", "https://")) and len(url) <= URL_MOST
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return blocks


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": shortened(text, SECTION_MOST)}}


def _fact(name: str, value: str) -> Block:
    text = f"*{_escaped(name)}*\n{_escaped(shortened(value, _VALUE_MOST))}"
    return {"type": "mrkdwn", "text": shortened(text, FIELD_MOST)}


def _button(text: str, url: str) -> Block:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "url": url}


def _footer(context: MessageContext, left_out: int) -> list[Block]:
    labels = " · ".join(f"{_escaped(name)} `{_escaped(value)}`" for name, value in context.data.GroupLabels.items())
    parts = [f"and {left_out} more" if left_out else "", shortened(labels, _VALUE_MOST)]
    url = context.notification.external_url
    parts.append(f"<{url}|LLM-Sentinel>" if url and len(url) <= _VALUE_MOST else "LLM-Sentinel")
    text = "  |  ".join(part for part in parts if part)
    return [{"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}]


def _escaped(text: str) -> str:
    """Return a text in which nothing is a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
