"""Channels that ask before they tell, or that sign what they tell: WeChat Work, Jira, Amazon SNS."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from tests.receiving import Answering, Receiving, notification, receiving
from tests.unit.test_channels import configured, sent
from udfs.alerting.notification import Notification
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry, Sent

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 - the example of Amazon's documentation


@pytest.fixture
def server() -> Iterator[Receiving]:
    with receiving() as state:
        yield state


def answers(server: Receiving, *bodies: object) -> None:
    server.script = [Answering(body=json.dumps(body).encode()) for body in bodies]


# --- WeChat Work ------------------------------------------------------------------------------------------------------


def wechat(server: Receiving, number: int = 1) -> list[Outcome]:
    return sent(configured("wechat", server.url), *[notification("ops", "wechat[0]")] * number)


def test_wechat_shows_its_token_and_asks_for_it_once(server: Receiving) -> None:
    answers(server, {"access_token": "t0ken", "expires_in": 7_200}, {"errcode": 0}, {"errcode": 0})
    assert [type(each) for each in wechat(server, 2)] == [Sent, Sent]
    asked, told, again = server.got
    assert (asked.method, asked.path.split("?")[0]) == ("GET", "/gettoken")
    assert "corpid=us" in asked.path
    assert (told.path, again.path) == ("/message/send?access_token=t0ken",) * 2
    message = told.json()
    assert message["touser"] == "@all"
    assert (message["msgtype"], message["safe"]) == ("text", "0")
    assert "HighLatency" in message["text"]["content"]


def test_wechat_asks_for_another_token_when_the_first_is_over(server: Receiving) -> None:
    answers(server, {"access_token": "old"}, {"errcode": 42_001}, {"access_token": "new"}, {"errcode": 0})
    assert [type(each) for each in wechat(server)] == [Sent]
    assert server.got[-1].path == "/message/send?access_token=new"


def test_wechat_says_why_it_refused_and_never_the_token(server: Receiving) -> None:
    answers(server, {"access_token": "t0ken-of-mine"}, {"errcode": 40_003, "errmsg": "invalid user t0ken-of-mine"})
    (outcome,) = wechat(server)
    assert isinstance(outcome, Refused)
    assert outcome.detail == "WeChat refused the message: 40003 invalid user <secret>"


def test_wechat_that_is_busy_is_tried_again(server: Receiving) -> None:
    answers(server, {"errcode": -1, "errmsg": "system busy"})
    (outcome,) = wechat(server)
    assert isinstance(outcome, Retry)
    assert outcome.reason is FailureReason.SERVER_ERROR


# --- Jira -------------------------------------------------------------------------------------------------------------

TO_DO = {"key": "OPS-7", "fields": {"status": {"name": "To Do", "statusCategory": {"key": "new"}}}}
CLOSED = {"key": "OPS-7", "fields": {"status": {"name": "Done", "statusCategory": {"key": "done"}}}}
TRANSITIONS = {"transitions": [{"id": "11", "name": "Reopen"}, {"id": "21", "name": "Resolve"}]}
RESOLVED = {"resolved": (True,)}


def jira(server: Receiving, told: Notification, more: str = "", api: str = "/rest/api/2") -> Outcome:
    text = (
        f"receivers: [{{name: ops, jira_configs: [{{api_url: '{server.url}{api}', project: OPS, issue_type: Bug, "
        f"reopen_transition: Reopen, resolve_transition: Resolve{more}}}]}}]"
    )
    (outcome,) = sent(text, told)
    return outcome


def test_jira_makes_an_issue_with_the_label_of_the_group(server: Receiving) -> None:
    answers(server, {"issues": []}, {"key": "OPS-7"})
    assert isinstance(jira(server, notification("ops", "jira[0]"), ", labels: [llm]"), Sent)
    search, made = server.got
    assert (search.path, made.path) == ("/rest/api/2/search", "/rest/api/2/issue")
    fields = made.json()["fields"]
    label = next(each for each in fields["labels"] if each.startswith("ALERT{"))
    assert fields["labels"] == [label, "llm"]
    assert (fields["project"], fields["issuetype"], fields["priority"]) == (
        {"key": "OPS"},
        {"name": "Bug"},
        {"name": "High"},
    )
    assert "HighLatency" in fields["summary"]
    assert search.json()["jql"] == (
        f'statusCategory != Done and project="OPS" and labels="{label}" order by status ASC,resolutiondate DESC'
    )


def test_jira_changes_the_issue_it_finds(server: Receiving) -> None:
    answers(server, {"issues": [TO_DO]}, {})
    more = ", description: {template: x, enable_update: false}"
    assert isinstance(jira(server, notification("ops", "jira[0]"), more), Sent)
    _, changed = server.got
    assert (changed.method, changed.path) == ("PUT", "/rest/api/2/issue/OPS-7")
    assert "summary" in changed.json()["fields"]
    assert "description" not in changed.json()["fields"]


@pytest.mark.parametrize(("found", "changes", "transition"), [(CLOSED, {}, "11"), (TO_DO, RESOLVED, "21")])
def test_jira_reopens_and_resolves(
    server: Receiving, found: object, changes: dict[str, tuple[bool, ...]], transition: str
) -> None:
    answers(server, {"issues": [found]}, {}, TRANSITIONS, {})
    assert isinstance(jira(server, notification("ops", "jira[0]", **changes), ", reopen_duration: 1h"), Sent)
    *_, listed, moved = server.got
    assert (listed.method, listed.path) == ("GET", "/rest/api/2/issue/OPS-7/transitions")
    assert moved.json() == {"transition": {"id": transition}}


def test_jira_resolves_nothing_where_there_is_no_issue(server: Receiving) -> None:
    answers(server, {"issues": []})
    assert isinstance(jira(server, notification("ops", "jira[0]", **RESOLVED)), Sent)
    assert len(server.got) == 1


def test_jira_names_the_transition_that_is_missing(server: Receiving) -> None:
    answers(server, {"issues": [TO_DO]}, {}, {"transitions": []})
    outcome = jira(server, notification("ops", "jira[0]", **RESOLVED))
    assert isinstance(outcome, Refused)
    assert outcome.detail == "OPS-7 has no transition Resolve now"


def test_jira_of_version_3_gets_a_document_and_the_newer_search(server: Receiving) -> None:
    answers(server, {"issues": []}, {"key": "OPS-7"})
    told = notification("ops", "jira[0]")
    assert isinstance(jira(server, told, ', api_type: cloud, description: "one\\ntwo"', "/rest/api/3"), Sent)
    search, made = server.got
    assert search.path == "/rest/api/3/search/jql"
    description = made.json()["fields"]["description"]
    assert [each["content"][0]["text"] for each in description["content"]] == ["one", "two"]
    assert (description["type"], description["version"]) == ("doc", 1)


def test_jira_that_answers_something_else_is_said(server: Receiving) -> None:
    server.script = [Answering(body=b"<html>")]
    outcome = jira(server, notification("ops", "jira[0]"))
    assert isinstance(outcome, Refused)
    assert "is api_url right" in outcome.detail


# --- Amazon SNS -------------------------------------------------------------------------------------------------------


def sns(server: Receiving, more: str, **changes: object) -> Outcome:
    text = (
        f"receivers: [{{name: ops, sns_configs: [{{api_url: '{server.url}', sigv4: {{region: eu-central-1, "
        f"access_key: AKIDEXAMPLE, secret_key: {SECRET_KEY}}}, {more}}}]}}]"
    )
    (outcome,) = sent(text, notification("ops", "sns[0]", **changes))
    return outcome


def signature(server: Receiving) -> str:
    """Return what signature the request should have, by the recipe of Amazon's documentation."""
    (got,) = server.got
    _, _, signed = got.headers["authorization"].partition("SignedHeaders=")
    names = signed.split(",")[0].split(";")
    lines = [f"{name}:{got.headers[name].strip()}" for name in names]
    canonical = [got.method, got.path, "", *lines, "", ";".join(names), hashlib.sha256(got.body).hexdigest()]
    at = got.headers["x-amz-date"]
    scope = f"{at[:8]}/eu-central-1/sns/aws4_request"
    hashed = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashed}".encode(), "sha256").hexdigest()


def test_sns_publishes_and_signs(server: Receiving) -> None:
    outcome = sns(server, "topic_arn: 'arn:aws:sns:eu-central-1:1:ops', attributes: {team: '{{ .CommonLabels.team }}'}")
    assert isinstance(outcome, Sent), outcome
    (got,) = server.got
    form = {name: values[0] for name, values in parse_qs(got.body.decode()).items()}
    assert (form["Action"], form["TopicArn"]) == ("Publish", "arn:aws:sns:eu-central-1:1:ops")
    assert form["MessageAttributes.entry.1.Name"] == "team"
    assert form["MessageAttributes.entry.1.Value.StringValue"] == "ops"
    assert "HighLatency" in form["Subject"]
    assert f"Signature={signature(server)}" in got.headers["authorization"]


def test_sns_gives_a_topic_in_order_the_identifier_of_the_notification(server: Receiving) -> None:
    assert isinstance(sns(server, "topic_arn: 'arn:aws:sns:eu-central-1:1:ops.fifo'"), Sent)
    form = parse_qs(server.got[0].body.decode())
    assert form["MessageDeduplicationId"] == [notification("ops", "sns[0]").notification_id]
    assert len(form["MessageGroupId"][0]) == 64


def test_sns_cuts_what_a_phone_does_not_take_and_says_so(server: Receiving) -> None:
    assert isinstance(sns(server, f"phone_number: '+491', message: '{'x' * 2_000}'"), Sent)
    form = parse_qs(server.got[0].body.decode())
    assert len(form["Message"][0]) == 1_600
    assert "Subject" not in form
    assert form["MessageAttributes.entry.1.Name"] == ["truncated"]


def test_sns_without_credentials_says_so(server: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    text = f"receivers: [{{name: ops, sns_configs: [{{api_url: '{server.url}', topic_arn: t, sigv4: {{region: r}}}}]}}]"
    (outcome,) = sent(text, notification("ops", "sns[0]"))
    assert isinstance(outcome, Retry)
    assert "there are no credentials of Amazon" in outcome.detail
    assert not server.got
