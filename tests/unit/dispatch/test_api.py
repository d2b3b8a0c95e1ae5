"""The interface over HTTP answers as Alertmanager 0.25 does; the codes here are what that one answered."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from jobs.cli.alerts import alerts
from jobs.dispatch.clock import wall_clock
from jobs.errors import SentinelError
from jobs.stack.waiting import wait_until
from schemas.time import from_at_ms
from tests.dispatch_runs import CONFIGURATION, DispatchRun
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = pytest.mark.process

UNKNOWN = "7d8ee7a9-8a1a-4f4c-9bbf-000000000000"
SILENCE = {
    "matchers": [{"name": "alertname", "value": "Silenced", "isRegex": False, "isEqual": True}],
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2099-01-01T00:00:00Z",
    "createdBy": "mira",
    "comment": "known",
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def dispatch(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[DispatchRun]:
    run = DispatchRun(tmp_path_factory.mktemp("dispatch"), CONFIGURATION.format(url=receiver.url)).start()
    yield run
    run.kill()


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ([], 200, None),
        (None, 200, None),
        ({"a": 1}, 400, {"code": 400}),
        ([{"labels": {}}], 400, "at least one label pair required"),
        ([{}], 422, {"code": 602, "message": "0.labels in body is required"}),
        ([{"labels": {"a": 1}}], 400, {"code": 400}),
        ([{"labels": {"a-b": "x"}}], 400, 'invalid label set: invalid name "a-b"'),
        ([{"labels": {"a": "x"}, "annotations": {"a-b": "x"}}], 400, 'invalid annotations: invalid name "a-b"'),
        (
            [{"labels": {"a": "x"}, "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}],
            400,
            "start time must be before end time",
        ),
        ([{"labels": {"a": "x"}, "startsAt": "yesterday"}], 400, {"code": 400}),
        ([{"labels": {"a": "x"}, "generatorURL": "foo"}], 422, {"code": 601}),
        ([{"labels": {"a": "\ud800"}}], 400, {"code": 400}),
    ],
    ids=repr,
)
def test_posted_alerts_are_answered_as_alertmanager_does(
    dispatch: DispatchRun, body: Any, status: int, answer: Any
) -> None:
    found = dispatch.post("/api/v2/alerts", body)
    assert found.status_code == status
    if isinstance(answer, dict):
        assert answer.items() <= found.json().items()
        assert len(found.json()["message"]) > 20
    elif answer is None:
        assert found.content == b""
    else:
        assert found.json() == answer


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [("{", "application/json", 400), ("", "application/json", 422), ("[]", "text/plain", 415)],
)
def test_body_that_is_no_json_is_refused(dispatch: DispatchRun, content: str, kind: str, status: int) -> None:
    url = f"{dispatch.address}/api/v2/alerts"
    answer = httpx.post(url, content=content, headers={"content-type": kind}, trust_env=False)
    assert (answer.status_code, "message" in answer.json()) == (status, True)


def test_bad_alert_takes_no_good_one_with_it(dispatch: DispatchRun, receiver: Receiver) -> None:
    answer = dispatch.post("/api/v2/alerts", [{"labels": {"a-b": "x"}}, {"labels": {"alertname": "Good", "z": ""}}])
    assert answer.status_code == 400
    receiver.wait_for(lambda all_: any("Good" in told.firing for told in all_.told), "the good one")
    (alert,) = dispatch.get("/api/v2/alerts", filter='alertname="Good"')
    assert alert["labels"] == {"alertname": "Good"}
    assert alert["receivers"] == [{"name": "team"}]
    assert alert["status"] == {"inhibitedBy": [], "silencedBy": [], "state": "active"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v2/alerts?filter=x", 400),
        ("/api/v2/alerts?filter=a%3D~%28", 400),
        ("/api/v2/alerts?receiver=%28", 400),
        ("/api/v2/alerts/groups?filter=x", 400),
        ("/api/v2/silences?filter=bad", 400),
        ("/api/v2/silence/abc", 422),
        (f"/api/v2/silence/{UNKNOWN}", 404),
        ("/api/v2/nothing", 404),
        ("/api/v1/alerts/abc/why", 422),
        ("/api/v1/alerts/0123456789abcdef/why", 404),
        ("/api/v1/notifications?state=lost", 400),
        ("/-/reload", 405),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/api/v2/receivers", 200),
        ("/api/v2/alerts?active=false&silenced=false", 200),
        ("/api/v2/alerts?receiver=tea", 200),
        ("/api/v1/notifications?state=sent", 200),
    ],
)
def test_questions_are_answered_with_the_codes_of_alertmanager(dispatch: DispatchRun, path: str, status: int) -> None:
    answer = httpx.get(dispatch.address + path, trust_env=False)
    assert answer.status_code == status
    if path.endswith(("silenced=false", "receiver=tea")):
        assert answer.json() == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"matchers": []}, 422),
        ({"matchers": [{"name": "a", "value": "", "isRegex": False}]}, 400),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, 400),
        ({"matchers": [{"name": "a-b", "value": "x", "isRegex": False}]}, 400),
        ({"matchers": [{"name": "a", "value": "x"}]}, 422),
        ({"startsAt": "2019-01-01T00:00:00Z", "endsAt": "2020-01-01T00:00:00Z"}, 400),
        ({"startsAt": "2099-02-01T00:00:00Z"}, 400),
        ({"comment": None}, 422),
        ({"id": UNKNOWN}, 404),
        ({"id": "zzz"}, 404),
        ({"comment": ""}, 200),
    ],
    ids=repr,
)
def test_posted_silences_are_answered_as_alertmanager_does(
    dispatch: DispatchRun, change: dict[str, Any], status: int
) -> None:
    answer = dispatch.post("/api/v2/silences", SILENCE | change)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()


def test_silenced_alert_is_shown_and_not_told_until_the_silence_ends(dispatch: DispatchRun, receiver: Receiver) -> None:
    matcher = {"name": "alertname", "value": "Quiet", "isRegex": False, "isEqual": True}
    identity = dispatch.post("/api/v2/silences", SILENCE | {"matchers": [matcher]}).json()["silenceID"]
    dispatch.fire("Quiet", "Loud")
    receiver.wait_for(lambda all_: any("Loud" in told.firing for told in all_.told), "the loud one")
    (alert,) = dispatch.get("/api/v2/alerts", filter='alertname="Quiet"')
    assert alert["status"] == {"inhibitedBy": [], "silencedBy": [identity], "state": "suppressed"}
    assert dispatch.get("/api/v2/alerts", filter='alertname="Quiet"', silenced="false") == []
    assert not any("Quiet" in told.firing for told in receiver.told)

    shown = dispatch.get(f"/api/v2/silence/{identity}")
    assert (shown["status"], shown["matchers"]) == ({"state": "active"}, [matcher])
    url = f"{dispatch.address}/api/v2/silence/{identity}"
    assert httpx.delete(url, trust_env=False).status_code == 200
    assert httpx.delete(url, trust_env=False).status_code == 200
    assert dispatch.get(f"/api/v2/silence/{identity}")["status"] == {"state": "expired"}
    receiver.wait_for(lambda all_: any("Quiet" in told.firing for told in all_.told), "what is silenced no more")

    why = dispatch.get(f"/api/v1/alerts/{alert['fingerprint']}/why")
    reasons = [decision["reason"] for decision in why["decisions"]]
    assert reasons.index("silenced") < reasons.index("notified") < reasons.index("sent")
    assert next(each for each in why["decisions"] if each["reason"] == "silenced")["refers_to"] == identity


def test_changing_the_matchers_of_a_silence_makes_another_one(dispatch: DispatchRun) -> None:
    first = dispatch.post("/api/v2/silences", SILENCE).json()["silenceID"]
    longer = dispatch.post("/api/v2/silences", SILENCE | {"id": first, "comment": "still"}).json()["silenceID"]
    other = [{"name": "alertname", "value": "Other", "isRegex": False}]
    second = dispatch.post("/api/v2/silences", SILENCE | {"id": longer, "matchers": other}).json()["silenceID"]
    assert second != longer
    assert dispatch.get(f"/api/v2/silence/{longer}")["status"] == {"state": "expired"}
    assert dispatch.get(f"/api/v2/silence/{second}")["status"] == {"state": "active"}


def test_acknowledged_alert_says_by_whom(dispatch: DispatchRun) -> None:
    dispatch.fire("Taken")
    (alert,) = dispatch.get("/api/v2/alerts", filter='alertname="Taken"')
    path = f"/api/v1/alerts/{alert['fingerprint']}"
    assert dispatch.post(f"{path}/acknowledge", {}).status_code == 422
    assert dispatch.post("/api/v1/alerts/0123456789abcdef/acknowledge", {"by": "mira"}).status_code == 404
    assert dispatch.post(f"{path}/acknowledge", {"by": "mira", "comment": "on it"}).status_code == 200
    why = dispatch.get(f"{path}/why")
    assert (why["state"], why["by"]) == ("acknowledged", "mira")
    assert dispatch.post(f"{path}/escalate", {"by": "mira"}).status_code == 409


@pytest.mark.parametrize("ends_at", ["tomorrow", 7, "2026-01-01T00:00:00Z"])
def test_acknowledgement_that_ends_at_no_time_to_come_is_refused(dispatch: DispatchRun, ends_at: object) -> None:
    dispatch.fire("Untaken")
    (alert,) = dispatch.get("/api/v2/alerts", filter='alertname="Untaken"')
    path = f"/api/v1/alerts/{alert['fingerprint']}"
    assert dispatch.post(f"{path}/acknowledge", {"by": "mira", "endsAt": ends_at}).status_code == 422
    assert dispatch.get(f"{path}/why")["state"] == "firing"


def test_acknowledgement_ends_at_its_time(dispatch: DispatchRun) -> None:
    dispatch.fire("TakenForAWhile")
    (alert,) = dispatch.get("/api/v2/alerts", filter='alertname="TakenForAWhile"')
    path = f"/api/v1/alerts/{alert['fingerprint']}"
    ends_at = from_at_ms(wall_clock() + 2_000)
    assert dispatch.post(f"{path}/acknowledge", {"by": "mira", "endsAt": ends_at}).status_code == 200
    assert any(each["reason"] == "acknowledged" for each in dispatch.get(f"{path}/why")["decisions"])
    wait_until(lambda: dispatch.get(f"{path}/why")["state"] == "firing", "the acknowledgement to end", deadline_s=60)


def test_metrics_have_the_names_of_alertmanager(dispatch: DispatchRun) -> None:
    dispatch.fire("Counted")  # what has never been counted has no labels
    text = httpx.get(f"{dispatch.address}/metrics", trust_env=False).text
    for name in (
        'alertmanager_alerts{state="active"}',
        'alertmanager_alerts_received_total{status="firing",version="v2"}',
        "alertmanager_config_last_reload_successful 1.0",
        'alertmanager_silences{state="active"}',
        "sentinel_dispatch_leader 1.0",
    ):
        assert name in text


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")
def test_amtool_works_with_it(dispatch: DispatchRun, receiver: Receiver) -> None:
    def amtool(*arguments: str) -> str:
        done = subprocess.run(
            ["amtool", f"--alertmanager.url={dispatch.address}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    amtool("alert", "add", "ByHand", "severity=critical", "--annotation=summary=a person says so")
    receiver.wait_for(lambda all_: any("ByHand" in told.firing for told in all_.told), "the alert of amtool")
    assert "ByHand" in amtool("alert", "query", "alertname=ByHand")
    assert "ByHand" not in amtool("alert", "query", "alertname!=ByHand")
    identity = amtool("silence", "add", "alertname=ByHand", "--comment=known", "--author=mira", "--duration=1h").strip()
    assert identity in amtool("silence", "query", "alertname=ByHand")
    assert "ByHand" in amtool("alert", "query", "--silenced", "alertname=ByHand")
    amtool("silence", "update", "--comment=longer", "--duration=2h", identity)
    assert "longer" in amtool("silence", "query")
    for each in amtool("silence", "query", "-q", "alertname=ByHand").split():
        amtool("silence", "expire", each)
    assert "ByHand" not in amtool("silence", "query", "alertname=ByHand")
    assert "disabled" in amtool("cluster", "show")
    shown = amtool("config", "show")
    assert "receiver: team" in shown
    assert "/hook" not in shown
    assert "Routing tree" in amtool("config", "routes", "show")


def test_bad_configuration_leaves_the_old_one_and_says_so(tmp_path: Any, receiver: Receiver) -> None:
    run = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url)).start()
    try:
        run.configuration.write_text("route: {receiver: nobody}\nreceivers: []\n")
        answer = httpx.post(f"{run.address}/-/reload", trust_env=False)
        assert answer.status_code == 500
        assert "dispatch.yml, line 1" in answer.text
        assert [each["name"] for each in run.get("/api/v2/receivers")] == ["team"]
        assert "last_reload_successful 0.0" in httpx.get(f"{run.address}/metrics", trust_env=False).text
        run.configuration.write_text(CONFIGURATION.format(url=receiver.url).replace("team", "others"))
        assert httpx.post(f"{run.address}/-/reload", trust_env=False).status_code == 200
        assert [each["name"] for each in run.get("/api/v2/receivers")] == ["others"]
        run.configuration.write_text("route: {}\n")
        run.hang_up()
        run.wait_until_said("dispatch.yml, line 1: route")
        assert run.stop() == 0
    finally:
        run.kill()


def test_start_is_refused_with_one_sentence(tmp_path: Any, dispatch: DispatchRun, receiver: Receiver) -> None:
    del dispatch
    run = DispatchRun(tmp_path, "route: {receiver: nobody}\n")
    with pytest.raises(AssertionError, match=r"sentinel: .*dispatch\.yml, line 1"):
        run.start()
    assert "Traceback" not in run.log.read_text()
    first = DispatchRun(tmp_path / "a", CONFIGURATION.format(url=receiver.url), store=str(tmp_path / "one")).start()
    second = DispatchRun(tmp_path / "b", CONFIGURATION.format(url=receiver.url), store=str(tmp_path / "one"))
    try:
        with pytest.raises(AssertionError, match=r"in use by process \d+: stop that one"):
            second.start()
        assert "Traceback" not in second.log.read_text()
    finally:
        first.kill()


def test_commands_silence_show_explain_and_acknowledge(dispatch: DispatchRun, receiver: Receiver) -> None:
    def sentinel(*arguments: str) -> str:
        done = CliRunner().invoke(alerts, [*arguments, "--url", dispatch.address])
        assert done.exception is None, done.exception
        return done.stdout

    dispatch.fire("Commanded", annotations={"summary": "a person types"})
    receiver.wait_for(lambda all_: any("Commanded" in told.firing for told in all_.told), "the alert")
    line = next(line for line in sentinel("alert", "query").splitlines() if "Commanded" in line)
    fingerprint = line.split()[0]
    identity = sentinel("silence", "add", "alertname=Commanded", "--comment", "known", "--duration", "10m").strip()
    assert identity in sentinel("silence", "query")
    assert "Commanded" not in sentinel("alert", "query", "alertname=Commanded")
    assert "Commanded" in sentinel("alert", "query", "--silenced", "alertname=Commanded")
    sentinel("silence", "expire", identity)
    assert identity not in sentinel("silence", "query")
    assert "acknowledged by mira" in sentinel("acknowledge", fingerprint, "--by", "mira", "--duration", "1h")
    explained = sentinel("why", fingerprint)
    assert explained.startswith(f"{fingerprint} acknowledged by mira")
    assert "notified" in explained
    refused = CliRunner().invoke(alerts, ["why", "0123456789abcdef", "--url", dispatch.address])
    assert isinstance(refused.exception, SentinelError)
    assert "no alert has the fingerprint" in str(refused.exception)
    unheard = CliRunner().invoke(alerts, ["alert", "query", "--url", "http://127.0.0.1:1"])
    assert isinstance(unheard.exception, SentinelError)
    assert "does not answer" in str(unheard.exception)
