"""Write what a mail and a Slack message look like, as HTML pages for `docs/messages.md`.

    python tests/message_pictures.py FOLDER [ANOMALIES INCIDENTS]

A browser makes pictures of them: `chromium --headless --screenshot=mail.png --window-size=760,900 mail.html`. The
renderer of Slack's blocks draws what Slack documents of each kind that we send, and nothing else.
"""

import html
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from schemas.anomaly import Anomaly
from schemas.incident import Incident
from schemas.time import to_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.example import example_notification
from udfs.alerting.from_anomaly import AlertLinks, alerts_of_anomaly
from udfs.alerting.from_incident import alerts_of_incident
from udfs.alerting.messages.context import MessageContext
from udfs.alerting.messages.slack_blocks import blocks_of
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.receivers.secret import Secret
from udfs.templates.template_set import TemplateSet

LINKS = AlertLinks(
    anomaly="https://sentinel.example.org/anomalies/{id}", incident="https://sentinel.example.org/incidents/{id}"
)
_STYLE = """
body{margin:0;padding:20px;background:#fff;font:15px/1.46 Lato,Arial,sans-serif;color:#1d1c1d;width:640px}
.app{font-weight:700}.badge{background:#ddd;font-size:10px;padding:1px 4px;border-radius:2px;margin:0 6px}
.bar{border-left:4px solid;padding:4px 0 4px 12px;margin-top:4px}.h{font-size:18px;font-weight:700;margin:4px 0 8px}
.f{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px}.s{margin:8px 0}.c{font-size:12px;color:#616061;margin:8px 0}
hr{border:0;border-top:1px solid #ddd;margin:12px 0}code{background:#f4f4f4;border:1px solid #ddd;color:#c01343;
font-size:12px;padding:1px 3px;border-radius:3px}
.b{display:inline-block;border:1px solid #bbb;border-radius:4px;padding:5px 12px;margin-right:8px;font-weight:700}
"""


def slack_page(context: MessageContext) -> str:
    """Return a page with the blocks of a notification as Slack shows them."""
    color = "#16a34a" if not context.is_firing else "#dc2626"
    body = "".join(map(_block, blocks_of(context)))
    head = '<span class="app">LLM-Sentinel</span><span class="badge">APP</span><span class="c">9:31 AM</span>'
    return (
        f'<meta charset="utf-8"><style>{_STYLE}</style>{head}<div class="bar" style="border-color:{color}">{body}</div>'
    )


def _block(block: dict[str, Any]) -> str:
    match block["type"]:
        case "header":
            return f'<div class="h">{html.escape(block["text"]["text"])}</div>'
        case "section" if "text" in block:
            return f'<div class="s">{_markdown(block["text"]["text"])}</div>'
        case "section":
            fields = "".join(f"<div>{_markdown(field['text'])}</div>" for field in block["fields"])
            return f'<div class="s f">{fields}</div>'
        case "actions":
            buttons = "".join(
                f'<span class="b">{html.escape(each["text"]["text"])}</span>' for each in block["elements"]
            )
            return f'<div class="s">{buttons}</div>'
        case "context":
            return f'<div class="c">{_markdown(block["elements"][0]["text"])}</div>'
    return "<hr>"


def _markdown(text: str) -> str:
    text = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', text)
    text = re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text).replace("\n", "<br>")


def told(alerts: list[Alert], resolved: list[bool]) -> Notification:
    """Return a notification about alerts, grouped by name and tenant."""
    common = dict(set.intersection(*(set(alert.labels.items()) for alert in alerts)))
    said = dict(set.intersection(*(set(alert.annotations.items()) for alert in alerts)))
    return Notification(
        notification_id="example",
        receiver="ops",
        channel="slack[0]",
        group_key="{}:{}",
        group_labels={name: common[name] for name in ("alertname", "tenant_id") if name in common},
        common_labels=common,
        common_annotations=said,
        alerts=tuple(alerts),
        resolved=tuple(resolved),
        reason=NotificationReason.FIRST_NOTIFICATION,
        created_at_ms=max(alert.updated_at_ms for alert in alerts),
        external_url="https://sentinel.example.org",
    )


def main(folder: Path, records: list[Path]) -> None:
    """Write a page per example and kind."""
    now_ms = to_at_ms("2026-11-24T09:31:00.000Z")
    examples = {
        "anomaly": example_notification("ops", "slack[0]", now_ms, "example"),
        "resolved": example_notification("ops", "slack[0]", now_ms, "example", is_over=True),
    }
    if records:
        anomalies, incidents = (path.read_bytes().splitlines() for path in records)
        states = [msgspec.json.decode(line, type=Incident) for line in incidents]
        incident = max((each for each in states if each.tenant_id), key=lambda each: each.anomaly_count)
        first, *_ = alerts_of_incident(incident, to_at_ms(incident.updated_at), LINKS)
        examples["incident"] = told([first], [False])
        read = [msgspec.json.decode(line, type=Anomaly) for line in anomalies]
        many = [alerts_of_anomaly(each, to_at_ms(each.timestamp), LINKS)[0] for each in read if each.tenant_id][-8:]
        examples["group"] = told(many, [i % 4 == 3 for i in range(len(many))])
    templates = TemplateSet()
    for name, notification in examples.items():
        context = MessageContext(notification, templates, Secret.reveal_text, now_ms)
        (folder / f"slack-{name}.html").write_text(slack_page(context), encoding="utf-8")
        (folder / f"mail-{name}.html").write_text(
            context.html('{{ template "email.default.html" . }}'), encoding="utf-8"
        )
        text = context.text(
            'Subject: {{ template "email.default.subject" . }}\n\n{{ template "email.default.text" . }}'
        )
        (folder / f"mail-{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
