"""Channels: one table for all of them, each one's own contract, and nobody's secret in a message."""

import asyncio
import base64
import json
import logging
import socket
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from jobs.dispatch.channels.channels import Channels
from jobs.dispatch.channels.guard import is_internal, networks_of
from schemas.yaml_document import read_yaml
from tests.receiving import NOW_MS, Answering, Receiving, notification, receiving
from udfs.alerting.memory import Memory
from udfs.alerting.messages.context import MessageContext
from udfs.alerting.messages.slack_blocks import blocks_of
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry, Sent, retry_after_ms
from udfs.alerting.receivers.decoding import defaults_of, receivers_of
from udfs.alerting.receivers.secret import Secret
from udfs.templates.template_set import TemplateSet

WORD = "v3ry-s3cret-w0rd"
LOOPBACK = networks_of(["127.0.0.0/8"])
HMAC_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_KEY = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ED25519_KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="

KINDS = {
    "webhook": "url: URL/WORD",
    "slack": "api_url: URL/WORD\n  channel: '#ops'",
    "pagerduty": "routing_key: WORD\n  url: URL/v2/enqueue",
    "msteams": "webhook_url: URL/WORD",
    "msteamsv2": "webhook_url: URL/WORD",
    "discord": "webhook_url: URL/WORD",
    "telegram": "api_url: URL\n  bot_token: WORD\n  chat_id: -100",
    "webex": "api_url: URL\n  room_id: r\n  http_config: {authorization: {credentials: WORD}}",
    "rocketchat": "api_url: URL\n  token: WORD\n  token_id: me-and-only-me\n  channel: '#ops'",
    "mattermost": "webhook_url: URL/WORD",
    "opsgenie": "api_url: URL\n  api_key: WORD",
    "victorops": "api_url: URL\n  api_key: WORD\n  routing_key: ops",
    "incidentio": "url: URL/x\n  alert_source_token: WORD",
    "sns": "api_url: URL/WORD\n  topic_arn: t\n  sigv4: {region: eu-central-1, access_key: A, secret_key: s3cret}",
    "wechat": "api_url: URL\n  api_secret: WORD\n  corp_id: us\n  to_user: '@all'",
    "jira": "api_url: URL/2\n  project: OPS\n  issue_type: Bug\n  http_config: {authorization: {credentials: WORD}}",
}
"""Every channel that goes over HTTP to an address of the configuration; conformance runs over all of them."""

ANSWERS = {
    "wechat": [b'{"access_token": "t0ken"}', b'{"errcode": 0}'],
    "jira": [b'{"issues": []}', b'{"key": "OPS-1"}'],
}
"""What kinds that ask before they tell are answered."""


@pytest.fixture
def server() -> Iterator[Receiving]:
    with receiving() as state:
        yield state


def opened(text: str, folder: Path = Path(), allowed: Any = LOOPBACK, former: Channels | None = None) -> Channels:
    """Return the channels of a configuration."""
    document = read_yaml(text)
    receivers = receivers_of(document["receivers"], defaults_of(document.get("global")))
    return Channels(receivers, TemplateSet(), folder, allowed, former)


def configured(kind: str, url: str) -> str:
    """Return the configuration of a receiver `ops` with one channel of a kind."""
    keys = KINDS[kind].replace("URL", url).replace("WORD", WORD).replace("\n  ", "\n    ")
    return f"receivers:\n- name: ops\n  {kind}_configs:\n  - {keys}\n"


def sent(text: str, *notifications: Notification, deadline_s: float = 20.0, **options: Any) -> list[Outcome]:
    """Return what came of notifications, sent one after another through the channels of a configuration."""

    async def run() -> list[Outcome]:
        channels = opened(text, **options)
        try:
            return await remembering(channels, notifications, deadline_s)
        finally:
            await channels.close()

    return asyncio.run(run())


async def remembering(
    channels: Channels, notifications: Iterable[Notification], deadline_s: float = 20.0, memory: Memory | None = None
) -> list[Outcome]:
    """Return what came of notifications, each sent with what those before it have left."""
    memory = memory or Memory()
    found = []
    for i, each in enumerate(notifications):
        outcome = await channels.send(each, NOW_MS + i, deadline_s, memory.earlier(each))
        if isinstance(outcome, Sent):
            memory.refer(each, outcome.reference)
        found.append(outcome)
    return found


def one(kind: str, server: Receiving, **changes: Any) -> Outcome:
    """Return what came of one notification through one kind of channel."""
    (outcome,) = sent(configured(kind, server.url), notification("ops", f"{kind}[0]", **changes))
    return outcome


TABLE: list[tuple[int, type[Outcome], FailureReason]] = [
    (300, Refused, FailureReason.OTHER),
    (301, Refused, FailureReason.OTHER),
    (307, Refused, FailureReason.OTHER),
    (400, Refused, FailureReason.CLIENT_ERROR),
    (401, Refused, FailureReason.AUTH_ERROR),
    (403, Refused, FailureReason.AUTH_ERROR),
    (404, Refused, FailureReason.CLIENT_ERROR),
    (408, Retry, FailureReason.CONTEXT_DEADLINE_EXCEEDED),
    (410, Refused, FailureReason.CLIENT_ERROR),
    (413, Refused, FailureReason.CLIENT_ERROR),
    (425, Retry, FailureReason.CLIENT_ERROR),
    (429, Retry, FailureReason.RATE_LIMITED),
    (500, Retry, FailureReason.SERVER_ERROR),
    (502, Retry, FailureReason.SERVER_ERROR),
    (503, Retry, FailureReason.SERVER_ERROR),
    (504, Retry, FailureReason.SERVER_ERROR),
]


@pytest.mark.parametrize("kind", KINDS)
def test_status_means_the_same_for_every_channel(kind: str, server: Receiving) -> None:
    async def run() -> list[Outcome]:
        found = []
        for status, *_ in TABLE:
            server.script = [Answering(status, f"no {WORD}".encode(), (("Location", f"{server.url}/elsewhere"),))]
            channels = opened(configured(kind, server.url))
            found.append(await channels.send(notification("ops", f"{kind}[0]"), NOW_MS, 20))
            await channels.close()
        return found

    for outcome, (status, wanted, reason) in zip(asyncio.run(run()), TABLE, strict=True):
        assert type(outcome) is wanted, (status, outcome)
        assert not isinstance(outcome, Sent)
        assert outcome.reason is reason, status
        assert WORD not in repr(outcome)
        if isinstance(outcome, Refused):
            assert outcome.disables is (status == 410)
    assert not [each for each in server.got if each.path == "/elsewhere"]


@pytest.mark.parametrize("kind", KINDS)
def test_success_is_sent_and_carries_the_credential(kind: str, server: Receiving) -> None:
    server.script = [Answering(body=body) for body in ANSWERS.get(kind, [b"ok"])]
    outcome = one(kind, server)
    assert isinstance(outcome, Sent), outcome
    got = server.got[0]
    assert len(server.got) == len(ANSWERS.get(kind, [b"ok"]))
    assert WORD in f"{got.path} {got.headers} {got.body!r}"
    assert got.headers["user-agent"] == "LLM-Sentinel"


@pytest.mark.parametrize("kind", KINDS)
def test_retry_after_is_heard_in_seconds_and_as_a_date(kind: str, server: Receiving) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW_MS / 1000 + 90, UTC), usegmt=True)
    for text, pause_ms in (("7", 7_000), (date, 90_000)):
        server.script = [Answering(503, b"", (("Retry-After", text),))]
        outcome = one(kind, server)
        assert isinstance(outcome, Retry)
        assert outcome.retry_after_ms == pause_ms


@pytest.mark.parametrize("kind", KINDS)
def test_silence_is_a_deadline_and_a_dead_port_no_connection(kind: str, server: Receiving) -> None:
    server.script = [Answering(waits=True)]
    (outcome,) = sent(configured(kind, server.url), notification("ops", f"{kind}[0]"), deadline_s=0.1)
    assert isinstance(outcome, Retry)
    assert outcome.reason is FailureReason.CONTEXT_DEADLINE_EXCEEDED
    (outcome,) = sent(configured(kind, "http://127.0.0.1:9"), notification("ops", f"{kind}[0]"))
    assert isinstance(outcome, Retry)
    assert (outcome.reason, outcome.detail) == (FailureReason.OTHER, "the connection was refused")


@pytest.mark.parametrize("kind", KINDS)
def test_internal_address_is_refused_unless_allowed(kind: str, server: Receiving) -> None:
    (outcome,) = sent(configured(kind, server.url), notification("ops", f"{kind}[0]"), allowed=())
    assert isinstance(outcome, Refused)
    assert "internal" in outcome.detail
    localhost = server.url.replace("127.0.0.1", "localhost")
    (outcome,) = sent(configured(kind, localhost), notification("ops", f"{kind}[0]"), allowed=())
    assert isinstance(outcome, Refused)
    assert not server.got


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f000001", "[::ffff:127.0.0.1]", "[::1]"])
def test_internal_address_is_refused_however_it_is_written(host: str, server: Receiving) -> None:
    url = server.url.replace("127.0.0.1", host)
    (outcome,) = sent(configured("webhook", url), notification("ops", "webhook[0]"), allowed=())
    assert isinstance(outcome, Refused), outcome
    assert not server.got


def test_410_silences_the_channel_until_the_next_configuration(server: Receiving) -> None:
    server.script = [Answering(410)]
    first, second = sent(configured("webhook", server.url), *[notification("ops", "webhook[0]")] * 2)
    assert isinstance(first, Refused)
    assert isinstance(second, Refused)
    assert "off until" in second.detail
    # A process of another test may still try a port that was its receiver's.
    assert len([each for each in server.got if WORD in each.path]) == 1


def test_breaker_leaves_a_failing_receiver_alone(server: Receiving) -> None:
    server.script = [Answering(500)]
    outcomes = sent(configured("webhook", server.url), *[notification("ops", "webhook[0]")] * 8)
    assert len(server.got) == 5
    last = outcomes[-1]
    assert isinstance(last, Retry)
    assert last.detail.startswith("not tried")
    assert last.retry_after_ms is not None
    assert 25_000 < last.retry_after_ms <= 30_000


def test_allowed_network_of_the_configuration_is_reached(server: Receiving) -> None:
    text = f"""
global: {{http_config: {{allowed_networks: [127.0.0.0/8]}}}}
receivers: [{{name: ops, webhook_configs: [{{url: '{server.url}'}}]}}]
"""
    (outcome,) = sent(text, notification("ops", "webhook[0]"), allowed=())
    assert isinstance(outcome, Sent)


@pytest.mark.parametrize(
    ("address", "internal"),
    [
        ("8.8.8.8", False),
        ("2606:4700:4700::1111", False),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),  # noqa: S104 - an address to refuse
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("::1", True),
        ("::", True),
        ("fe80::1", True),
        ("fd00:ec2::254", True),
        ("ff02::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:7f00:1::", True),
    ],
)
def test_address_is_internal(address: str, internal: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_internal(ip_address(address)) is internal


def test_signature_is_right_by_an_independent_library(server: Receiving) -> None:
    text = f"""
receivers: [{{name: ops, webhook_configs: [{{url: '{server.url}', signing_secrets: ['{HMAC_KEY}', '{OTHER_KEY}']}}]}}]
"""

    async def run() -> list[Outcome]:
        channels = opened(text)
        # The library compares with the wall clock, so the tries are made now.
        now_ms = int(datetime.now(UTC).timestamp() * 1_000)
        server.script = [Answering(503), Answering(200)]
        found = [await channels.send(notification("ops", "webhook[0]"), now_ms + i * 5_000, 20) for i in range(2)]
        await channels.close()
        return found

    assert [type(each) for each in asyncio.run(run())] == [Retry, Sent]
    for got in server.got:
        for key in (HMAC_KEY, OTHER_KEY):
            assert Webhook(key).verify(got.body, got.headers)["version"] == "4"
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(HMAC_KEY).verify(got.body + b" ", got.headers)
    first, second = server.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


def test_ed25519_signature_is_of_the_bytes_sent(server: Receiving) -> None:
    text = f"receivers: [{{name: ops, webhook_configs: [{{url: '{server.url}', signing_secrets: ['{ED25519_KEY}']}}]}}]"
    assert isinstance(sent(text, notification("ops", "webhook[0]"))[0], Sent)
    (got,) = server.got
    version, _, encoded = got.headers["webhook-signature"].partition(",")
    assert version == "v1a"
    public = Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED25519_KEY.removeprefix("whsk_"))[:32]).public_key()
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    public.verify(base64.b64decode(encoded), signed)


@pytest.mark.parametrize("key", ["whsec_c2hvcnQ=", "nonsense", "whsec_%%%", "whsk_c2hvcnQ="])
def test_bad_signing_secret_is_refused_and_not_told(key: str, server: Receiving) -> None:
    text = f"receivers: [{{name: ops, webhook_configs: [{{url: '{server.url}', signing_secrets: ['{key}']}}]}}]"
    (outcome,) = sent(text, notification("ops", "webhook[0]"))
    assert isinstance(outcome, Refused)
    assert key not in outcome.detail
    assert not server.got


def test_webhook_body_is_alertmanagers(server: Receiving) -> None:
    one("webhook", server)
    (got,) = server.got
    assert list(got.json()) == [
        "receiver",
        "status",
        "alerts",
        "notification_reason",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "routeLabels",
        "externalURL",
        "version",
        "groupKey",
        "truncatedAlerts",
    ]
    assert list(got.json()["alerts"][0]) == [
        "status",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
        "fingerprint",
    ]
    assert got.json()["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert b"\\u003csince\\u003e" in got.body
    assert got.body.endswith(b"}\n")


def test_webhook_body_of_our_own_has_type_timestamp_and_data(server: Receiving) -> None:
    text = f"receivers: [{{name: ops, webhook_configs: [{{url: '{server.url}', body: sentinel}}]}}]"
    sent(text, notification("ops", "webhook[0]"))
    body = server.got[0].json()
    assert (body["type"], body["timestamp"]) == ("alert.firing", "2025-11-24T16:00:00.000Z")
    assert body["data"]["groupKey"] == '{}:{alertname="HighLatency"}'


def test_webhook_payload_is_rendered(server: Receiving) -> None:
    text = f"""
receivers:
- name: ops
  webhook_configs:
  - url: '{server.url}/{{{{ .GroupLabels.alertname }}}}'
    payload:
      title: '{{{{ .Status }}}}'
      count: '{{{{ len .Alerts }}}}'
      nested: [{{a: '{{{{ .CommonLabels.team }}}}'}}]
"""
    sent(text, notification("ops", "webhook[0]"))
    assert server.got[0].path == "/HighLatency"
    assert server.got[0].json() == {"title": "firing", "count": 1, "nested": [{"a": "ops"}]}


def test_more_alerts_than_wanted_are_counted(server: Receiving) -> None:
    text = f"receivers: [{{name: ops, webhook_configs: [{{url: '{server.url}', max_alerts: 2}}]}}]"
    alert = notification("ops", "webhook[0]").alerts[0]
    sent(text, notification("ops", "webhook[0]", alerts=(alert,) * 5, resolved=(False,) * 5))
    body = server.got[0].json()
    assert (len(body["alerts"]), body["truncatedAlerts"]) == (2, 3)


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({}, "trigger"),
        ({"reason": NotificationReason.ACKNOWLEDGED}, "acknowledge"),
        ({"resolved": (True,)}, "resolve"),
    ],
)
def test_pagerduty_event_follows_the_group(changes: dict[str, Any], action: str, server: Receiving) -> None:
    server.script = [Answering(202, b'{"status":"success"}')]
    assert isinstance(one("pagerduty", server, **changes), Sent)
    event = server.got[0].json()
    assert event["event_action"] == action
    assert event["routing_key"] == WORD
    # As `printf %s '{}:{alertname="HighLatency"}' | sha256sum` has it.
    assert event["dedup_key"] == "d4061866bc333de2350285b0452a21f78349e3d63b4f06b6c956f64f95d7be36"
    assert event["payload"]["severity"] == "critical"
    assert 0 < len(event["payload"]["summary"]) <= 1_024


def test_pagerduty_event_stays_within_its_limits(server: Receiving) -> None:
    alert = notification("ops", "pagerduty[0]").alerts[0]
    large = notification(
        "ops", "pagerduty[0]", alerts=(alert,) * 2_000, resolved=(False,) * 2_000, group_labels={"a": "x" * 5_000}
    )
    sent(configured("pagerduty", server.url), large)
    event = server.got[0].json()
    assert len(server.got[0].body) <= 512_000
    assert len(event["payload"]["summary"]) == 1_024
    assert "left out" in event["payload"]["custom_details"]["error"]


def test_pagerduty_change_event_goes_to_its_own_address(server: Receiving) -> None:
    text = f"""
receivers: [{{name: ops, pagerduty_configs: [{{routing_key: k, url: '{server.url}/v2/enqueue', event: change}}]}}]
"""
    sent(text, notification("ops", "pagerduty[0]"))
    assert server.got[0].path == "/v2/change/enqueue"
    assert "event_action" not in server.got[0].json()


def slack_limits_hold(message: Any) -> bool:
    """Return whether a message is within what Slack documents."""
    blocks = [block for each in message.get("attachments", []) for block in each.get("blocks", [])]
    assert len(blocks) <= 50
    assert len(message.get("text", "")) <= 40_000
    for block in blocks:
        assert block["type"] in {"header", "section", "divider", "actions", "context"}
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
        if block["type"] == "section":
            assert ("text" in block) or block["fields"]
            assert len(block.get("text", {"text": ""})["text"]) <= 3_000
            assert len(block.get("fields", [])) <= 10
            assert all(0 < len(field["text"]) <= 2_000 for field in block.get("fields", []))
        if block["type"] == "actions":
            assert 0 < len(block["elements"]) <= 25
            assert all(len(each["url"]) <= 3_000 and len(each["text"]["text"]) <= 75 for each in block["elements"])
    return True


@settings(max_examples=40)
@given(
    count=st.integers(1, 60),
    text=st.text(max_size=50),
    factor=st.sampled_from([1, 100, 1_000]),
    ours=st.booleans(),
    is_over=st.booleans(),
)
def test_blocks_stay_within_slacks_limits(count: int, text: str, factor: int, *, ours: bool, is_over: bool) -> None:
    alert = notification("ops", "slack[0]").alerts[0]
    said = dict.fromkeys(("summary", "description", "cause", "what_to_do", "observed", "since"), text * factor)
    labels = alert.labels | {f"label{i}": text for i in range(15)} | ({"sentinel_source": "anomaly"} if ours else {})
    large = msgspec.structs.replace(
        alert, annotations=said | {"link": f"https://x.example.org/{'y' * factor}"}, labels=labels
    )
    told = notification("ops", "slack[0]", alerts=(large,) * count, resolved=(is_over,) * count)
    blocks = blocks_of(MessageContext(told, TemplateSet(), Secret.reveal_text, NOW_MS))
    assert slack_limits_hold({"attachments": [{"blocks": blocks}]})
    assert len(json.dumps(blocks, ensure_ascii=False)) <= 13_000
    shown = sum(block["type"] == "divider" for block in blocks) + (len(blocks) > 2)
    assert shown == count or f"and {count - shown} more" in blocks[-1]["elements"][0]["text"]


def test_slack_bot_changes_its_message_in_place(server: Receiving) -> None:
    server.script = [Answering(200, b'{"ok":true,"channel":"C1","ts":"17.4"}', (("Content-Type", "application/json"),))]
    text = f"""
receivers:
- name: ops
  slack_configs:
  - {{app_token: '{WORD}', app_url: '{server.url}/api/chat.postMessage', channel: '#ops', update_message: true,
      send_resolved: true}}
"""
    told = notification("ops", "slack[0]")
    ended = notification("ops", "slack[0]", notification_id="2", resolved=(True,))
    outcomes = sent(text, told, told, ended, notification("ops", "slack[0]", notification_id="3"))
    assert all(isinstance(each, Sent) and each.reference == "C1/17.4/#ops" for each in outcomes)
    assert [got.path.rpartition("/")[2] for got in server.got] == [
        "chat.postMessage",
        "chat.update",
        "chat.update",
        "chat.postMessage",
    ]
    assert (server.got[1].json()["channel"], server.got[1].json()["ts"]) == ("C1", "17.4")
    assert server.got[0].headers["authorization"] == f"Bearer {WORD}"
    assert all(slack_limits_hold(got.json()) for got in server.got)


def test_message_in_another_channel_is_left_and_a_reload_keeps_the_pace(server: Receiving) -> None:
    server.script = [Answering(200, b'{"ok":true,"channel":"C1","ts":"17.4"}', (("Content-Type", "application/json"),))]
    text = f"""
receivers:
- name: ops
  slack_configs: [{{app_token: t, app_url: '{server.url}/api/chat.postMessage', channel: c, update_message: true}}]
"""

    async def run() -> list[Outcome]:
        memory = Memory()
        told = notification("ops", "slack[0]")
        first = opened(text)
        found = await remembering(first, [told] * 3, 1.0, memory)
        second = opened(text, former=first)
        found += await remembering(second, [told] * 3, 1.0, memory)
        other = opened(text.replace("channel: c", "channel: d"), former=second)
        found += await remembering(other, [told], 1.0, memory)
        for each in (first, second, other):
            await each.close()
        return found

    assert [isinstance(each, Sent) for each in asyncio.run(run())] == [True] * 5 + [False, True]
    paths = [got.path.rpartition(".")[2] for got in server.got]
    assert paths == ["postMessage", "update", "update", "update", "update", "postMessage"]


def test_slack_message_that_is_lost_is_said_anew(server: Receiving) -> None:
    kind = (("Content-Type", "application/json; charset=utf-8"),)
    server.script = [
        Answering(200, b'{"ok":true,"channel":"C1","ts":"1"}', kind),
        Answering(200, b'{"ok":false,"error":"message_not_found"}', kind),
        Answering(200, b'{"ok":true,"channel":"C1","ts":"2"}', kind),
    ]
    text = f"""
receivers:
- name: ops
  slack_configs: [{{app_token: t, app_url: '{server.url}/api/chat.postMessage', channel: c, update_message: true}}]
"""
    _, second = sent(text, *[notification("ops", "slack[0]")] * 2)
    assert second == Sent(reference="C1/2/c", detail="status 200")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"ok":false,"error":"channel_not_found"}', (Refused, FailureReason.CLIENT_ERROR)),
        (b'{"ok":false,"error":"invalid_auth"}', (Refused, FailureReason.AUTH_ERROR)),
        (b'{"ok":false,"error":"ratelimited"}', (Retry, FailureReason.RATE_LIMITED)),
        (b'{"ok":false,"error":"internal_error"}', (Retry, FailureReason.SERVER_ERROR)),
    ],
)
def test_slack_error_in_a_success_is_a_failure(body: bytes, wanted: Any, server: Receiving) -> None:
    server.script = [Answering(200, body, (("Content-Type", "application/json"),))]
    outcome = one("slack", server)
    assert not isinstance(outcome, Sent)
    assert (type(outcome), outcome.reason) == wanted


def test_slack_attachment_is_upstreams_where_it_is_configured(server: Receiving) -> None:
    text = f"""
receivers:
- name: ops
  slack_configs:
  - api_url: '{server.url}'
    title: '{{{{ .Status }}}} {{{{ .CommonLabels.team }}}}'
    fields: [{{title: T, value: '{{{{ .CommonLabels.severity }}}}'}}]
"""
    sent(text, notification("ops", "slack[0]"))
    (attachment,) = server.got[0].json()["attachments"]
    assert attachment["title"] == "firing ops"
    assert attachment["color"] == "danger"
    assert attachment["mrkdwn_in"] == ["fallback", "pretext", "text"]
    assert attachment["fields"] == [{"title": "T", "value": "critical", "short": False}]
    assert "blocks" not in attachment


def test_slack_is_sent_one_message_a_second(server: Receiving) -> None:
    outcomes = sent(configured("slack", server.url), *[notification("ops", "slack[0]")] * 8, deadline_s=1.0)
    assert [isinstance(each, Sent) for each in outcomes] == [True] * 5 + [False] * 3
    late = outcomes[-1]
    assert isinstance(late, Retry)
    assert late.reason is FailureReason.RATE_LIMITED
    assert late.retry_after_ms is not None


def test_template_that_fails_is_refused_with_its_line(server: Receiving) -> None:
    text = f"receivers: [{{name: ops, slack_configs: [{{api_url: '{server.url}', title: '{{{{ .Nope }}}}'}}]}}]"
    (outcome,) = sent(text, notification("ops", "slack[0]"))
    assert isinstance(outcome, Refused)
    assert "line 1: can't evaluate field Nope" in outcome.detail


def test_credentials_are_read_at_every_try(server: Receiving, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{server.url}/first\n")
    text = "receivers: [{name: ops, webhook_configs: [{url_file: url}]}]"

    async def run() -> list[Outcome]:
        channels = opened(text, folder=tmp_path)
        found = [await channels.send(notification("ops", "webhook[0]"), NOW_MS, 20)]
        (tmp_path / "url").write_text(f"{server.url}/second\n")
        found.append(await channels.send(notification("ops", "webhook[0]"), NOW_MS, 20))
        (tmp_path / "url").unlink()
        found.append(await channels.send(notification("ops", "webhook[0]"), NOW_MS, 20))
        await channels.close()
        return found

    *_, last = asyncio.run(run())
    assert [got.path for got in server.got] == ["/first", "/second"]
    assert isinstance(last, Retry)
    assert last.detail == "cannot read url: No such file or directory"


def test_basic_auth_and_headers_come_with_every_request(server: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_TEST_WORD", WORD)
    text = f"""
receivers:
- name: ops
  webhook_configs:
  - url: '{server.url}'
    http_config:
      basic_auth: {{username: me, password: {{env: SENTINEL_TEST_WORD}}}}
      http_headers: {{X-Mine: {{values: [a], secrets: [b]}}}}
"""
    sent(text, notification("ops", "webhook[0]"))
    assert server.got[0].headers["authorization"] == "Basic bWU6djNyeS1zM2NyZXQtdzByZA=="
    assert server.got[0].headers["x-mine"] == "b"


def test_oauth2_token_is_fetched_once(server: Receiving) -> None:
    server.script = [Answering(200, b'{"access_token":"t0ken","expires_in":3600}'), Answering(200)]
    text = f"""
receivers:
- name: ops
  webhook_configs:
  - url: '{server.url}/hook'
    http_config: {{oauth2: {{client_id: me, client_secret: {WORD}, token_url: '{server.url}/token', scopes: [a, b]}}}}
"""
    assert all(isinstance(each, Sent) for each in sent(text, *[notification("ops", "webhook[0]")] * 2))
    assert [got.path for got in server.got] == ["/token", "/hook", "/hook"]
    assert b"scope=a+b" in server.got[0].body
    assert server.got[1].headers["authorization"] == "Bearer t0ken"


def test_certificate_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with receiving(context) as server:
        (outcome,) = sent(configured("webhook", server.url), notification("ops", "webhook[0]"))
        assert isinstance(outcome, Retry)
        assert outcome.detail.startswith("the certificate is not trusted")
        text = f"""
receivers: [{{name: ops, webhook_configs: [{{url: '{server.url}', http_config: {{tls_config: {{ca_file: ca.pem}}}}}}]}}]
"""
        (outcome,) = sent(text, notification("ops", "webhook[0]"), folder=tmp_path)
        assert isinstance(outcome, Sent)


def test_log_channel_writes_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dispatch.channels.log"):
        (outcome,) = sent("receivers: [{name: ops, log_configs: [{}]}]", notification("ops", "log[0]"))
    assert isinstance(outcome, Sent)
    assert "ops log[0]: [FIRING:1] HighLatency" in caplog.text


@pytest.mark.parametrize(("code", "kind"), [(0, Sent), (75, Retry), (1, Refused)])
def test_command_gets_the_notification(code: int, kind: type[Outcome], tmp_path: Path) -> None:
    text = f"""
receivers: [{{name: ops, command_configs: [{{command: [sh, -c, 'cat > {tmp_path}/got; exit {code}']}}]}}]
"""
    (outcome,) = sent(text, notification("ops", "command[0]"))
    assert type(outcome) is kind
    assert '"version":"4"' in (tmp_path / "got").read_text()


def test_command_that_does_not_end_is_ended() -> None:
    text = "receivers: [{name: ops, command_configs: [{command: [sleep, '60'], timeout: 100ms}]}]"
    (outcome,) = sent(text, notification("ops", "command[0]"))
    assert isinstance(outcome, Retry)
    assert outcome.reason is FailureReason.CONTEXT_DEADLINE_EXCEEDED


def test_unknown_channel_is_refused() -> None:
    (unknown,) = sent("receivers: [{name: ops, log_configs: [{}]}]", notification("ops", "webhook[0]"))
    assert isinstance(unknown, Refused)
    assert "no such channel" in unknown.detail


@pytest.mark.parametrize("header", ["", "soon", "-5", "1e9", "Wed, 99 Nov 2026 09:30:00 GMT"])
def test_odd_retry_after_is_none(header: str) -> None:
    assert retry_after_ms(header, NOW_MS) is None


def test_retry_after_is_a_day_at_most() -> None:
    assert retry_after_ms("999999999", NOW_MS) == 86_400_000


def test_proxy_gets_the_request_and_internal_targets_stay_refused(server: Receiving) -> None:
    text = """
receivers:
- name: ops
  webhook_configs:
  - url: http://{host}/hook
    http_config: {{proxy_url: '{proxy}', no_proxy: '192.0.2.1, .internal.example.org'}}
"""
    told = notification("ops", "webhook[0]")
    (outcome,) = sent(text.format(host="8.8.8.8", proxy=server.url), told, allowed=())
    assert isinstance(outcome, Sent)
    assert [got.path for got in server.got] == ["http://8.8.8.8/hook"]
    (outcome,) = sent(text.format(host="169.254.169.254", proxy=server.url), told, allowed=())
    assert isinstance(outcome, Refused)
    assert len(server.got) == 1


def test_name_is_resolved_once_and_the_checked_address_is_used(
    server: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.url.rpartition(":")[2])
    answers = ["127.0.0.1", "169.254.169.254", "169.254.169.254"]
    asked: list[str] = []

    def resolve(host: str | bytes, *_: Any, **__: Any) -> list[Any]:
        asked.append(str(host))
        address = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    text = f"receivers: [{{name: ops, webhook_configs: [{{url: 'http://rebinding.example.org:{port}/'}}]}}]"
    (outcome,) = sent(text, notification("ops", "webhook[0]"))
    assert isinstance(outcome, Sent)
    assert asked == ["rebinding.example.org"]
    assert server.got[0].headers["host"] == f"rebinding.example.org:{port}"


def test_one_allowed_address_among_internal_ones_is_the_one_used(
    server: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.url.rpartition(":")[2])

    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("10.0.0.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    text = f"receivers: [{{name: ops, webhook_configs: [{{url: 'http://two.example.org:{port}/'}}]}}]"
    assert isinstance(sent(text, notification("ops", "webhook[0]"))[0], Sent)
