"""Mail: TLS, log in, one answer per recipient, a conversation per group, read by a real SMTP server."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from jobs.dispatch.channels.channels import Channels
from schemas.yaml_document import read_yaml
from tests.receiving import NOW_MS, notification
from udfs.alerting.memory import Memory
from udfs.alerting.notification import Notification
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry, Sent
from udfs.alerting.receivers.decoding import defaults_of, receivers_of
from udfs.templates.template_set import TemplateSet

WORD = "v3ry-s3cret-w0rd"


class Post(NamedTuple):
    """A mail as the server got it."""

    sender: str
    recipients: list[str]
    message: EmailMessage


class Postman:
    """What the server got; some recipients are refused, some only at first."""

    def __init__(self) -> None:
        self.got: list[Post] = []
        self.answers: dict[str, list[str]] = {}

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer as told, else take it."""
        if self.answers.get(address):
            return self.answers[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail."""
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(Post(str(envelope.mail_from), list(envelope.rcpt_tos), message))
        return "250 OK"


def log_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    """Accept one name and password."""
    return AuthResult(success=(data.login, data.password) == (b"me", WORD.encode()), handled=False)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context, folder


class Case(NamedTuple):
    """How the server of a test is set up."""

    tls: ssl.SSLContext | None = None
    """With it nothing is taken before STARTTLS, or all is TLS if `implicit`."""
    implicit: bool = False
    login: bool = False
    answers: Mapping[str, Sequence[str]] = {}
    """What is answered to recipients, in turn, before they are taken."""


def posted(
    keys: str, *notifications: Notification, case: Case | None = None, folder: Path = Path(), port: int = 0
) -> tuple[list[Outcome], list[Post]]:
    """Return what came of notifications by mail, and what a server on a free port got."""
    case = case or Case()
    postman, memory = Postman(), Memory()
    postman.answers = {address: list(each) for address, each in case.answers.items()}
    options: dict[str, Any] = {"hostname": "mail.example.org"}
    if case.login:
        options |= {"authenticator": log_in, "auth_required": True}
    if case.tls is not None and not case.implicit:
        options |= {"tls_context": case.tls, "require_starttls": True}

    async def run() -> list[Outcome]:
        loop = asyncio.get_running_loop()
        ssl_context = case.tls if case.implicit else None
        server = await loop.create_server(lambda: SMTP(postman, **options), "127.0.0.1", 0, ssl=ssl_context)
        address = f"127.0.0.1:{port or server.sockets[0].getsockname()[1]}"
        text = f"""
receivers:
- name: ops
  email_configs: [{{from: 'Sentinel <sentinel@example.org>', smarthost: '{address}', {keys}}}]
"""
        document = read_yaml(text)
        channels = Channels(receivers_of(document["receivers"], defaults_of(None)), TemplateSet(), folder)
        try:
            found = []
            for each in notifications:
                outcome = await channels.send(each, NOW_MS, 20, memory.earlier(each))
                memory.reach(each, outcome.reached if isinstance(outcome, Retry) else frozenset())
                found.append(outcome)
            return found
        finally:
            await channels.close()
            server.close()
            await server.wait_closed()

    return asyncio.run(run()), postman.got


TOLD = notification("ops", "email[0]")


def test_mail_has_text_and_html_and_stays_in_its_conversation() -> None:
    over = notification("ops", "email[0]", notification_id="over", resolved=(True,))
    outcomes, got = posted("to: 'Ops <ops@example.org>, a@example.org', require_tls: false", TOLD, TOLD, over)
    assert all(isinstance(each, Sent) for each in outcomes), outcomes
    first, again, last = got
    assert (first.sender, first.recipients) == ("sentinel@example.org", ["ops@example.org", "a@example.org"])
    message = first.message
    assert message["Subject"] == "[FIRING:1] HighLatency (critical ops)"
    assert message["To"] == "Ops <ops@example.org>, a@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert "summary: p95 is 4,500 ms" in str(plain.get_content())
    assert "Slow &lt;since&gt; now &amp; then" in str(html.get_content())
    assert message["Message-ID"] == again.message["Message-ID"] != last.message["Message-ID"]
    assert message["References"] == last.message["References"]
    assert message["Date"] == "Mon, 24 Nov 2025 16:00:00 +0000"


def test_starttls_and_log_in(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, folder = tls
    keys = f"to: a@example.org, tls_config: {{ca_file: ca.pem}}, auth_username: me, auth_password: {WORD}"
    case = Case(tls=context, login=True)
    (outcome,), got = posted(keys, TOLD, case=case, folder=folder)
    assert isinstance(outcome, Sent), outcome
    assert len(got) == 1
    (outcome,), got = posted(keys.replace(WORD, f"not-{WORD}"), TOLD, case=case, folder=folder)
    assert isinstance(outcome, Refused)
    assert outcome.reason is FailureReason.AUTH_ERROR
    assert WORD not in outcome.detail
    assert not got


def test_implicit_tls(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, folder = tls
    keys = "to: a@example.org, tls_config: {ca_file: ca.pem}, force_implicit_tls: true"
    (outcome,), got = posted(keys, TOLD, case=Case(tls=context, implicit=True), folder=folder)
    assert isinstance(outcome, Sent), outcome
    assert len(got) == 1


def test_untrusted_certificate_gets_no_mail(tls: tuple[ssl.SSLContext, Path]) -> None:
    (outcome,), got = posted("to: a@example.org", TOLD, case=Case(tls=tls[0]))
    assert isinstance(outcome, Retry)
    assert not got


def test_server_without_starttls_gets_no_mail_where_tls_is_required() -> None:
    (outcome,), got = posted("to: a@example.org", TOLD)
    assert isinstance(outcome, Refused)
    assert "offers no STARTTLS" in outcome.detail
    assert not got


def test_recipient_that_is_tried_again_alone() -> None:
    case = Case(answers={"b@example.org": ["450 try later"]})
    (first, second), got = posted("to: 'a@example.org, b@example.org', require_tls: false", TOLD, TOLD, case=case)
    assert isinstance(first, Retry)
    assert first.reason is FailureReason.SERVER_ERROR
    assert isinstance(second, Sent)
    assert [each.recipients for each in got] == [["a@example.org"], ["b@example.org"]]


def test_recipient_that_is_refused_does_not_hold_up_the_others() -> None:
    case = Case(answers={"b@example.org": ["550 unknown"]})
    (some,), got = posted("to: 'a@example.org, b@example.org', require_tls: false", TOLD, case=case)
    assert some == Sent(detail="1 of 2 recipients, the others refused with status 550")
    assert [each.recipients for each in got] == [["a@example.org"]]
    (none,), got = posted("to: b@example.org, require_tls: false", TOLD, case=case)
    assert isinstance(none, Refused)
    assert not got


def test_dead_port_is_tried_again() -> None:
    (outcome,), _ = posted("to: a@example.org", TOLD, port=9)
    assert isinstance(outcome, Retry)


@pytest.mark.parametrize("to", ["nobody", "a@b@c", "'{{ .CommonLabels.none }}'"])
def test_address_that_is_none_is_refused(to: str) -> None:
    (outcome,), _ = posted(f"to: {to}", TOLD)
    assert isinstance(outcome, Refused)
    assert outcome.detail == "to is no list of mail addresses"


def test_header_takes_no_second_line() -> None:
    keys = "to: a@example.org, require_tls: false, headers: {subject: '{{ .CommonAnnotations.summary }}'}"
    evil = notification("ops", "email[0]", common_annotations={"summary": "x\r\nBcc: evil@example.org"})
    _, got = posted(keys, evil)
    assert got[0].message["Bcc"] is None
    assert got[0].message["Subject"] == "x Bcc: evil@example.org"
