"""Receivers of a configuration: upstream's keys and defaults, what they take over, and every mistake with its place."""

import copy
import pickle
from typing import Any

import msgspec
import pytest

from schemas.yaml_document import read_yaml
from udfs.alerting.receivers.decoding import ReceiverError, defaults_of, receivers_of
from udfs.alerting.receivers.duration import DurationMs, duration_of
from udfs.alerting.receivers.email import EmailConfig
from udfs.alerting.receivers.receiver import KINDS, Receiver
from udfs.alerting.receivers.secret import Secret
from udfs.alerting.receivers.slack import SlackConfig
from udfs.alerting.receivers.webhook import WebhookConfig

WORD = "s3cr3t-w0rd"


def read(text: str) -> tuple[Receiver, ...]:
    """Return the receivers of a configuration as text."""
    document = read_yaml(text)
    return receivers_of(document.get("receivers"), defaults_of(document.get("global")))


def channel(text: str) -> Any:
    """Return the configuration of the only channel there is."""
    ((only,),) = ([each.channels for each in read(text)],)
    return only[0].config


def mistake(text: str) -> ReceiverError:
    """Return what is wrong with a configuration."""
    with pytest.raises(ReceiverError) as caught:
        read(text)
    return caught.value


def test_channel_takes_over_from_global_what_it_does_not_say() -> None:
    email = channel(f"""
global: {{smtp_smarthost: 'mail.example.org:587', smtp_from: a@example.org, smtp_auth_password: {WORD}}}
receivers: [{{name: ops, email_configs: [{{to: b@example.org}}]}}]
""")
    assert isinstance(email, EmailConfig)
    assert (email.smarthost, email.from_, email.hello, email.require_tls) == (
        "mail.example.org:587",
        "a@example.org",
        "localhost",
        True,
    )
    assert email.password == Secret(WORD)


def test_secret_of_a_channel_keeps_the_file_of_global_away() -> None:
    email = channel(f"""
global: {{smtp_smarthost: 'mail.example.org:587', smtp_from: a@example.org, smtp_auth_password_file: /global}}
receivers: [{{name: ops, email_configs: [{{to: b@example.org, auth_password: {WORD}}}]}}]
""")
    assert email.auth_password_file == ""
    assert email.password == Secret(WORD)


@pytest.mark.parametrize(("kind", "is_told"), [("webhook", True), ("slack", False), ("email", False)])
def test_send_resolved_is_as_upstream(kind: str, is_told: bool) -> None:  # noqa: FBT001 - a column of the table
    default = {each.name: each.default for each in msgspec.structs.fields(KINDS[kind])}["send_resolved"]
    assert default is is_told


def test_channels_are_named_by_kind_and_position() -> None:
    (receiver,) = read("""
receivers:
- name: ops
  webhook_configs: [{url: 'http://a.example.org'}, {url: 'http://b.example.org'}]
  log_configs: [{}]
""")
    assert [each.key for each in receiver.channels] == ["webhook[0]", "webhook[1]", "log[0]"]


def test_scalars_are_what_the_key_wants() -> None:
    config = channel("""
receivers: [{name: ops, webhook_configs: [{url: 'http://a.example.org', send_resolved: no, timeout: 1m30s}]}]
""")
    assert isinstance(config, WebhookConfig)
    assert (config.send_resolved, config.timeout) == (False, 90_000)
    slack = channel("""
receivers: [{name: ops, slack_configs: [{api_url: 'http://a.example.org', channel: 1234, title: true}]}]
""")
    assert isinstance(slack, SlackConfig)
    assert (slack.channel, slack.title) == ("1234", "true")


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("[{webhook_configs: []}]", "receivers[0].name", "a receiver needs a name"),
        ("[{name: a}, {name: a}]", "receivers[1].name", "the name a is not unique"),
        ("[{name: a, webhok_configs: []}]", "receivers[0].webhok_configs", "no key of a receiver has this name"),
        (
            "[{name: a, webhook_configs: [{urll: x}]}]",
            "receivers[0].webhook_configs[0].urll",
            "no key has this name here",
        ),
        (
            "[{name: a, webhook_configs: [{}]}]",
            "receivers[0].webhook_configs[0]",
            "one of url and url_file must be configured",
        ),
        (
            "[{name: a, webhook_configs: [{url: 'http://a', http_config: {tls_config: {min_version: TLS9}}}]}]",
            "receivers[0].webhook_configs[0].http_config.tls_config.min_version",
            "not one of the known values",
        ),
        (
            "[{name: a, webhook_configs: [{url: 'http://a', timeout: soon}]}]",
            "receivers[0].webhook_configs[0].timeout",
            "a duration is a text such as 30s, 5m or 1h30m",
        ),
        ("[{name: a, email_configs: [{}]}]", "receivers[0].email_configs[0].to", "required, but missing"),
        (
            "[{name: a, email_configs: [{to: b@example.org}]}]",
            "receivers[0].email_configs[0]",
            "smarthost is configured neither here nor in global",
        ),
        (
            "[{name: a, slack_configs: [{api_url: 'http://a', update_message: true}]}]",
            "receivers[0].slack_configs[0]",
            "update_message and post_updates_to_thread need a bot: app_token, or api_url of the Web API",
        ),
        (
            "[{name: a, webhook_configs: [{url: 'http://a', http_config: {allowed_networks: [10.0.0.1/8]}}]}]",
            "receivers[0].webhook_configs[0].http_config",
            "allowed_networks: 10.0.0.1/8 is no network such as 10.1.0.0/16",
        ),
    ],
)
def test_mistake_names_its_place_and_its_reason(text: str, path: str, reason: str) -> None:
    assert str(mistake(f"receivers: {text}")) == f"{path}: {reason}"


@pytest.mark.parametrize(
    "keys",
    [
        "webhook_configs: [{{url: '{word}'}}]",
        "webhook_configs: [{{url: 'ftp://{word}'}}]",
        "webhook_configs: [{{url: 'http://{word}:x'}}]",
        "webhook_configs: [{{url: 'http://a', signing_secrets: {{file: 1, env: '{word}'}}}}]",
        "webhook_configs: [{{url: 'http://a', signing_secrets: [{{other: '{word}'}}]}}]",
        "slack_configs: [{{api_url: 'https://{word}', api_url_file: x}}]",
        "pagerduty_configs: [{{routing_key: ['{word}']}}]",
    ],
)
def test_mistake_tells_no_secret(keys: str) -> None:
    assert WORD not in str(mistake(f"receivers: [{{name: a, {keys.format(word=WORD)}}}]"))


def test_secret_shows_itself_nowhere() -> None:
    config = channel(f"receivers: [{{name: a, webhook_configs: [{{url: 'https://h.example.org/{WORD}'}}]}}]")
    assert WORD not in repr(config) + str(config) + f"{config.url}"
    assert WORD not in repr(copy.deepcopy(config))
    with pytest.raises(TypeError):
        pickle.dumps(config.url)
    with pytest.raises(TypeError):
        msgspec.json.encode(config)


def test_secret_may_be_in_a_file_or_in_the_environment() -> None:
    config = channel("""
receivers: [{name: a, webhook_configs: [{url_file: /run/url, signing_secrets: [{env: WORD}, {file: /run/key}]}]}]
""")
    assert (config.target.origin, config.target.place) == ("file", "/run/url")
    assert [(each.origin, each.place) for each in config.signing_secrets] == [("env", "WORD"), ("file", "/run/key")]


@pytest.mark.parametrize(
    ("text", "duration_ms"), [("0s", 0), ("0", 0), ("1.5s", 1_500), ("1h30m", 5_400_000), ("1d", 86_400_000)]
)
def test_duration_is_read_as_go_writes_it(text: str, duration_ms: int) -> None:
    assert duration_of(text) == DurationMs(duration_ms)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5s ", True, 5, None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        duration_of(text)


def test_structures_of_the_user_are_taken_as_they_are() -> None:
    config = channel("""
receivers: [{name: a, pagerduty_configs: [{routing_key: k, details: {n: 1, deep: {a: [x, 2]}}}]}]
""")
    assert config.details == {"n": 1, "deep": {"a": ["x", 2]}}
    config = channel("""
receivers:
- name: a
  jira_configs: [{project: p, issue_type: Bug, api_url: 'https://j.example.org', fields: {f: {name: x}}, summary: s}]
""")
    assert config.fields == {"f": {"name": "x"}}
