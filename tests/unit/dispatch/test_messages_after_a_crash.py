"""What a message was called, and who has it already, is known to the process that goes on after a crash."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from jobs.stack.waiting import wait_until
from tests.dispatch_runs import DispatchRun
from tests.postgres_server import postgres_server
from tests.receiving import Answering, receiving

pytestmark = pytest.mark.process

ROUTE = "route: {receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n"
SLACK = """
receivers:
- name: team
  slack_configs:
  - app_token: t
    app_url: URL/api/chat.postMessage
    channel: '#ops'
    update_message: true
    send_resolved: true
    http_config: {allowed_networks: [127.0.0.0/8]}
"""
MAIL = """
receivers:
- name: team
  email_configs:
  - {to: 'a@example.org, b@example.org', from: s@example.org, smarthost: 'ADDRESS', require_tls: false}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "outbox")
        return
    with postgres_server(tmp_path_factory.mktemp("postgresql")) as server:
        yield server.address


class Postman:
    """Takes mail; `b@example.org` is to be tried again later for as long as `is_busy`."""

    def __init__(self) -> None:
        self.is_busy = True
        self.got: list[list[str]] = []

    async def handle_RCPT(  # noqa: N802 - name of aiosmtpd
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer to one recipient."""
        if address == "b@example.org" and self.is_busy:
            return "450 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Keep who gets the mail."""
        self.got.append(list(envelope.rcpt_tos))
        return "250 OK"


@contextmanager
def mail_server(postman: Postman) -> Iterator[str]:
    """Run a mail server on a free port; its address."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(lambda: SMTP(postman, hostname="mail.example.org", loop=loop), "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


def states(run: DispatchRun, state: str) -> int:
    return len(run.get("/api/v1/notifications", state=state))


def test_slack_message_is_changed_in_place_after_a_crash(store: str, tmp_path: Path) -> None:
    kind = (("Content-Type", "application/json"),)
    with receiving() as slack:
        slack.script = [Answering(200, b'{"ok":true,"channel":"C1","ts":"17.4"}', kind)]
        run = DispatchRun(tmp_path, ROUTE + SLACK.replace("URL", slack.url), store=store).start()
        try:
            run.fire("Slow", startsAt="2026-01-01T00:00:00Z")
            wait_until(lambda: states(run, "sent") == 1, "the record of the message", deadline_s=60)
            run.kill()
            run.start()
            labels = {"alertname": "Slow", "host": "b"}
            run.post("/api/v2/alerts", [{"labels": labels}]).raise_for_status()
            wait_until(lambda: states(run, "sent") == 2, "the change", deadline_s=60)
        finally:
            run.kill()
    assert [got.path.rpartition("/")[2] for got in slack.got] == ["chat.postMessage", "chat.update"]
    changed = json.loads(slack.got[1].body)
    assert (changed["channel"], changed["ts"]) == ("C1", "17.4")


def test_recipient_who_has_a_mail_does_not_get_it_again_after_a_crash(tmp_path: Path) -> None:
    postman = Postman()
    with mail_server(postman) as address:
        # A notification is given up when its group is told anew: leave time for a second try on any machine.
        route = ROUTE.replace("group_interval: 1s", "group_interval: 1h")
        run = DispatchRun(tmp_path, route + MAIL.replace("ADDRESS", address)).start()
        try:
            run.fire("Slow")
            run.wait_until_said("1 of 2 recipients are to be tried again")
            # The sentence comes before the record, and the record of the first try before the second try.
            run.wait_until_said("try 2 failed")
            run.kill()
            assert postman.got == [["a@example.org"]]
            postman.is_busy = False
            run.start()
            wait_until(lambda: states(run, "sent") == 1, "the record of the mail", deadline_s=60)
        finally:
            run.kill()
    assert postman.got == [["a@example.org"], ["b@example.org"]]
