"""Templates mean what Go's mean: the same cases here and in amtool, and nothing runs without end."""

import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.yaml_document import read_yaml
from udfs.alerting.alert import Alert
from udfs.alerting.notification import Notification, NotificationReason
from udfs.templates.go_time import GoDuration, GoTime, read_time
from udfs.templates.problem import TemplateError
from udfs.templates.template_set import TemplateSet
from udfs.templates.values import KV, AlertData, Alerts, Data, data_of

GOLDEN = Path(__file__).parents[1] / "golden" / "templates"
CASES: list[dict[str, Any]] = read_yaml((GOLDEN / "cases.yaml").read_text())
"""`needs: "0.34"` is a case that older versions of amtool do not know; its text is what amtool 0.34.2 wrote."""
COMPARED = [case for case in CASES if "needs" not in case and "ours_only" not in case]
AMTOOL = shutil.which("amtool")
SET = TemplateSet()
NOW_MS = 1_764_000_000_000


def time(text: str) -> GoTime:
    """Return the time of an RFC 3339 text."""
    return GoTime(datetime.fromisoformat(text))


def data() -> Data:
    """Return the data of the cases, as amtool reads it from the same file."""
    read = json.loads((GOLDEN / "data.json").read_text())
    return Data(
        Receiver=read["receiver"],
        Status=read["status"],
        NotificationReason="",
        RouteLabels=KV(),
        GroupLabels=KV(read["groupLabels"]),
        CommonLabels=KV(read["commonLabels"]),
        CommonAnnotations=KV(read["commonAnnotations"]),
        ExternalURL=read["externalURL"],
        Alerts=Alerts(
            AlertData(
                Status=each["status"],
                Labels=KV(each["labels"]),
                Annotations=KV(each["annotations"]),
                StartsAt=time(each["startsAt"]),
                EndsAt=time(each["endsAt"]),
                GeneratorURL=each["generatorURL"],
                Fingerprint=each["fingerprint"],
            )
            for each in read["alerts"]
        ),
    )


def rendered(text: str, *, is_html: bool = False) -> str:
    """Return what a text says of the data of the cases."""
    return (SET.html if is_html else SET.text)(text, data(), NOW_MS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_case_is_as_written(case: dict[str, Any]) -> None:
    if case.get("error"):
        with pytest.raises(TemplateError, match=r"^template.*, line \d+: "):
            rendered(case["text"], is_html=case.get("html", False))
    else:
        assert rendered(case["text"], is_html=case.get("html", False)) == case["expected"]


def amtool(text: str, *, is_html: bool) -> str | None:
    """Return what amtool makes of a text, None if it refuses it."""
    argv = [str(AMTOOL), "template", "render", "--template.glob=/nowhere/*", f"--template.text={text}"]
    argv += [f"--template.data={GOLDEN / 'data.json'}"] + ["--template.type=html"] * is_html
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    return None if done.returncode else done.stdout


@pytest.mark.skipif(AMTOOL is None, reason="amtool is not installed (Debian: prometheus-alertmanager)")
@pytest.mark.parametrize("is_html", [False, True])
def test_cases_are_as_in_amtool(is_html: bool) -> None:  # noqa: FBT001 - a column of the table
    texts = [case for case in COMPARED if "expected" in case and case.get("html", False) is is_html]
    # Definitions cannot stand within another action; all others go through one call, each with its own variables.
    alone = [case for case in texts if "{{ define" in case["text"] or "{{ block" in case["text"]]
    together = [case for case in texts if case not in alone]
    joined = amtool("".join(f"{{{{ if true }}}}{case['text']}{{{{ end }}}}\x1f" for case in together), is_html=is_html)
    assert joined is not None
    assert joined.split("\x1f") == [case["expected"] for case in together] + [""]
    for case in alone:
        assert amtool(case["text"], is_html=is_html) == case["expected"], case["name"]


@pytest.mark.skipif(AMTOOL is None, reason="amtool is not installed (Debian: prometheus-alertmanager)")
@pytest.mark.parametrize("case", [case for case in COMPARED if case.get("error")], ids=lambda case: str(case["name"]))
def test_what_is_refused_here_is_refused_by_amtool(case: dict[str, Any]) -> None:
    assert amtool(case["text"], is_html=case.get("html", False)) is None


def test_at_least_sixty_cases_are_compared() -> None:
    assert len(COMPARED) >= 60


@pytest.mark.parametrize(
    "text",
    [
        '{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}',
        '{{ define "r" }}{{ template "r" . }}{{ template "r" . }}{{ end }}{{ template "r" . }}',
        "{{ range 400000 }}{{ range 400000 }}x{{ end }}{{ end }}",
        '{{ $x := "0123456789" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}',
        '{{ range 300 }}{{ printf "%9999d" 1 }}{{ end }}',
        '{{ printf "%99999999d" 1 }}',
        "{{ range 9999999999 }}{{ end }}",
        "{{ if true }}" * 2_000,
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
        '{{ $x := "aaaaaaaaaa" }}{{ range 100 }}{{ $x = reReplaceAll "a" "aaaaaaaaaa" $x }}{{ end }}',
        '{{ match "(a*)*(a*)*b" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }}{{ nonsense }}',
    ],
)
def test_nothing_runs_without_end(text: str) -> None:
    with pytest.raises(TemplateError):
        rendered(text)


@given(text=st.text(alphabet='{}-.$ "|()=:,\\\n`axif01', max_size=40), is_html=st.booleans())
def test_whatever_is_written_is_text_or_an_error_with_a_line(text: str, is_html: bool) -> None:  # noqa: FBT001
    lines: list[int] = []
    try:
        assert isinstance(rendered(text, is_html=is_html), str)
    except TemplateError as error:
        lines.append(error.line)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)


@given(value=st.text(max_size=30))
def test_value_in_html_stays_a_value(value: str) -> None:
    page = SET.html('<p title="{{ . }}">{{ . }}</p><a href="{{ . }}">x</a>', value, NOW_MS)
    assert page.count("<") == 4
    assert page.count('"') == 4


def test_error_names_template_line_and_reason() -> None:
    templates = TemplateSet([("mine.tmpl", '{{ define "mine" }}\n\n{{ .Nothing }}{{ end }}')])
    with pytest.raises(TemplateError) as caught:
        templates.text('{{ template "mine" . }}', data(), NOW_MS)
    assert str(caught.value) == 'template "mine", line 3: can\'t evaluate field Nothing in type template.Data'


def test_file_of_the_user_replaces_a_default() -> None:
    templates = TemplateSet([("mine.tmpl", '{{ define "slack.default.title" }}mine{{ end }}')])
    assert templates.text('{{ template "slack.default.title" . }}', data(), NOW_MS) == "mine"
    assert rendered('{{ template "slack.default.title" . }}') != "mine"


def test_empty_definition_replaces_nothing() -> None:
    templates = TemplateSet([("mine.tmpl", '{{ define "__subject" }} {{ end }}')])
    assert templates.text('{{ template "__subject" . }}', data(), NOW_MS) == rendered('{{ template "__subject" . }}')


@pytest.mark.parametrize(
    "text",
    [
        "<script>var x = {{ .Status }}</script>",
        '<p onclick="{{ .Status }}">',
        "<p style=\"background: url('{{ .Status }}')\">",
        '<iframe srcdoc="{{ .Status }}">',
    ],
)
def test_value_within_a_script_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="is not supported"):
        rendered(text, is_html=True)


def test_now_and_since_are_of_the_time_given() -> None:
    alert = Alert(labels={"alertname": "x"}, starts_at_ms=NOW_MS - 90_000, updated_at_ms=NOW_MS, ends_at_ms=NOW_MS)
    notification = Notification(
        notification_id="n",
        receiver="a.b",
        channel="log[0]",
        group_key="{}",
        group_labels={},
        common_labels={},
        common_annotations={},
        alerts=(alert, alert),
        resolved=(False, True),
        reason=NotificationReason.FIRST_NOTIFICATION,
        created_at_ms=NOW_MS,
    )
    text = "{{ since (index .Alerts 0).StartsAt }} {{ .Receiver }} {{ now.Unix }} {{ (index .Alerts 0).EndsAt.IsZero }}"
    assert SET.text(text, data_of(notification), NOW_MS) == f"1m30s a\\.b {NOW_MS // 1000} true"
    assert SET.text("{{ (index .Alerts 1).EndsAt.Unix }}", data_of(notification), NOW_MS) == str(NOW_MS // 1000)


@given(at=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 1, 1)))  # noqa: DTZ001 - naive on purpose
def test_time_is_read_as_it_is_written(at: datetime) -> None:
    written = GoTime(at.replace(tzinfo=time("2026-01-01T00:00:00Z").at.tzinfo))
    layout = "2006-01-02 15:04:05.000000 -0700"
    assert read_time(layout, written.formatted(layout)) == written


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0s"), (1, "1ns"), (1_500, "1.5µs"), (2_000_000, "2ms"), (1_500_000_000, "1.5s"), (-90 * 10**9, "-1m30s")],
)
def test_duration_prints_as_in_go(ns: int, text: str) -> None:
    assert GoDuration(ns).text() == text
