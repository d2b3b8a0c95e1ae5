"""Rules: refused with a reason, evaluated in event time, the same whatever the batches."""

import re
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.backtest.control import in_force
from jobs.cli.rules import rules as commands
from jobs.errors import SentinelError
from jobs.rules.files import read_rules
from schemas.anomaly import Anomaly, DetectorType, Severity
from schemas.codec import encode
from schemas.dead_letter import RejectReason
from schemas.rule import All, Any, Condition, Not, Operator, Pattern, Rule, Threshold
from schemas.telemetry import TelemetryEvent
from schemas.time import from_at_ms
from schemas.yaml_document import read_yaml
from tests.calls import START_AT_MS, call, heartbeat
from tests.stored import keep, stores
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.record_block import block_of
from udfs.rules.checks import check
from udfs.rules.predicate import Columns, holds
from udfs.settings import DetectionSettings

SETTINGS = DetectionSettings(detectors=(), summaries="none")
NAMES = ("latency_ms", "prompt_tokens")
DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"


def rule(text: str) -> Rule:
    """Return a rule written in YAML."""
    return msgspec.convert(read_yaml(text), Rule)


def found(
    rules: list[Rule], events: list[TelemetryEvent], cuts: tuple[int, ...] = (), *, restart: bool = False
) -> list[Anomaly]:
    """Return what rules find in events, cut into batches; the state is stored and read again at cuts if asked."""
    control = in_force(tuple(rules))
    records = [*(encode(event) for event in events), heartbeat(START_AT_MS + 3_600_000, 0)]
    stored: dict[str, bytes] = {}
    shard = ShardDetection(SETTINGS, control, 0)
    anomalies = []
    for start, end in pairwise([0, *sorted(set(cuts)), len(records)]):
        anomalies += shard.on_records(block_of(records[start:end], range(start, end))).anomalies
        keep(stored, shard.changes())
        if restart:
            shard = ShardDetection(SETTINGS, control, 0, stored.items())
    return anomalies


def calls(latencies: list[float], step_ms: int = 1_000) -> list[TelemetryEvent]:
    """Return calls of one application, evenly spaced."""
    return [call(number, START_AT_MS + number * step_ms, 0, latency) for number, latency in enumerate(latencies)]


SLOW = "{type: threshold, metric: latency_ms, operator: gt, value: 1000}"


def test_threshold_speaks_once_in_its_refractory_time() -> None:
    slow = rule(f"{{rule_id: slow, on: event, when: {SLOW}, refractory: 10s, severity: critical}}")
    anomalies = found([slow], calls([100.0, *[2000.0] * 25]))
    assert [each.context.sample_events for each in anomalies] == [("event-1",), ("event-11",), ("event-21",)]
    first = anomalies[0]
    assert (first.detector_id, first.detector_type, first.severity) == (
        "rule-slow",
        DetectorType.RULE,
        Severity.CRITICAL,
    )
    assert (first.metric, first.observed, first.expected.high) == ("latency_ms", 2000.0, 1000.0)


def test_consecutive_counts_without_a_gap() -> None:
    slow = rule(f"{{rule_id: slow, on: event, when: {SLOW}, consecutive: 3}}")
    anomalies = found([slow], calls([2000.0, 2000.0, 100.0, 2000.0, 2000.0, 2000.0]))
    assert [each.context.sample_events for each in anomalies] == [("event-5",)]


MINUTE_AT_MS = -(-START_AT_MS // 60_000) * 60_000
BUSY = (
    "{rule_id: busy, on: 1m, when: {type: threshold, metric: calls_per_s, operator: gt, value: 0.5}, for_duration: 3m}"
)


def test_duration_of_windows_is_counted_from_the_first_ones_start() -> None:
    events = [call(number, MINUTE_AT_MS + number * 1_000, 0, 100.0) for number in range(600)]
    anomalies = found([rule(BUSY)], events)
    # Three windows, then silence for the five minutes of the default refractory time.
    assert [each.context.window_end for each in anomalies] == [
        from_at_ms(MINUTE_AT_MS + minutes * 60_000) for minutes in (3, 8)
    ]
    assert {each.volume for each in anomalies} == {60}


def test_missing_window_ends_what_held() -> None:
    seconds = [second for second in range(360) if not 120 <= second < 180]
    [only] = found([rule(BUSY)], [call(second, MINUTE_AT_MS + second * 1_000, 0, 100.0) for second in seconds])
    # The first two minutes hold, the third is missing, the fourth to sixth hold.
    assert only.timestamp == from_at_ms(MINUTE_AT_MS + 360_000)


def test_sequence_is_followed_per_entity_and_in_time() -> None:
    steps = f"[{{when: {SLOW}}}, {{when: {{type: not, of: {SLOW}}}, count: 2}}]"
    storm = rule(f"{{rule_id: storm, on: event, sequence: {steps}, within: 5s}}")
    assert [each.context.sample_events for each in found([storm], calls([2000.0, 100.0, 100.0]))] == [("event-2",)]
    assert found([storm], calls([2000.0, 100.0, 100.0], step_ms=4_000)) == []
    other = [
        call(n, START_AT_MS + n * 1000, n % 2, latency) for n, latency in enumerate([2000.0, 100.0, 2000.0, 100.0])
    ]
    assert found([storm], other) == []


def test_rule_holds_from_its_time_on_and_the_version_before_it_until_then() -> None:
    first = rule(f"{{rule_id: slow, on: event, when: {SLOW}, refractory: 0s}}")
    second = msgspec.structs.replace(first, effective_at_ms=START_AT_MS + 3_000, severity=Severity.CRITICAL)
    control = Control({})
    for each in (first, second):
        assert control.apply("rule/slow", encode(each).decode()) == []
    shard = ShardDetection(SETTINGS, control, 0)
    anomalies = shard.on_records(block_of([encode(event) for event in calls([2000.0] * 6)], range(6))).anomalies
    assert [each.severity.value for each in anomalies] == ["warning"] * 3 + ["critical"] * 3


def test_removed_rule_is_silent_and_leaves_no_state() -> None:
    slow = rule(f"{{rule_id: slow, on: event, when: {SLOW}, consecutive: 2}}")
    control = in_force((slow,))
    shard = ShardDetection(SETTINGS, control, 0)
    records = [encode(event) for event in calls([2000.0] * 4)]
    stored: dict[str, bytes] = {}
    shard.on_records(block_of(records[:1], [0]))
    keep(stored, shard.changes())
    assert [store for store in stores(stored) if store.startswith("rule/")]
    control.apply("rule/slow", "")
    assert shard.on_records(block_of(records[1:], [1, 2, 3])).anomalies == []
    keep(stored, shard.changes())
    assert not [store for store in stores(stored) if store.startswith("rule/")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{rule_id: r, on: 1s, entity: user, when: %s}", "on, entity: 1s of user is not observed"),
        ("{rule_id: r, on: event}", "give exactly one of them"),
        ("{rule_id: r, on: 1m, when: %s}", "when.metric: 'latency_ms' is not observed on 1m of model"),
        ("{rule_id: r, on: event, when: %s, within: 5s}", "within: is for a sequence"),
        ("{rule_id: r, on: event, sequence: [{when: %s}]}", "within: a sequence needs a span"),
        ("{rule_id: r, on: event, when: %s, refractory: 8d}", "refractory: 8d is longer than 7d"),
        ("{rule_id: r, on: event, when: {type: all, of: []}}", "when.of: needs at least one condition"),
        ("{rule_id: r, on: event, when: {type: pattern, field: model, regex: '('}}", "when.regex: is no regular"),
        ("{rule_id: r, on: event, when: {type: pattern, field: model, regex: '(a+)+$'}}", "can take forever"),
        ("{rule_id: r, on: event, when: {type: pattern, field: prompt, regex: a}}", "'prompt' is no text field"),
        ("{rule_id: r, on: 1m, when: {type: pattern, field: model, regex: a}}", "text fields are of events"),
    ],
)
def test_rule_that_cannot_be_evaluated_is_refused_with_its_reason(text: str, said: str) -> None:
    wrong = rule(text.replace("%s", SLOW))
    with pytest.raises(ValueError, match=re.escape(said)):
        check(wrong)
    [letter] = Control({}).apply("rule/r", encode(wrong).decode(), 17)
    assert (letter.reason, letter.dead_letter_id) == (RejectReason.OUT_OF_RANGE, "sentinel.config-0-17")
    assert said in letter.detail


def test_refused_change_leaves_what_held() -> None:
    slow = rule(f"{{rule_id: slow, on: event, when: {SLOW}}}")
    control = in_force((slow,))
    [letter] = control.apply("rule/slow", '{"rule_id":"slow","on":"event","wenn":{}}', 3)
    assert letter.reason is RejectReason.WRONG_TYPE
    assert control.rules == {"slow": (slow,)}
    [letter] = control.apply("rule/other", encode(slow).decode(), 4)
    assert "differs from the key" in letter.detail


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> Condition:
    """Conditions over two metrics and one text field."""
    kind = draw(st.sampled_from(["threshold", "pattern", "all", "any", "not"] if depth else ["threshold", "pattern"]))
    if kind == "threshold":
        return Threshold(
            metric=draw(st.sampled_from(NAMES)),
            operator=draw(st.sampled_from(list(Operator))),
            value=float(draw(st.integers(0, 3))),
        )
    if kind == "pattern":
        return Pattern(field="model", regex=draw(st.sampled_from(["a", "b$", "^ab"])))
    if kind == "not":
        return Not(of=draw(conditions(depth - 1)))
    parts = tuple(draw(st.lists(conditions(depth - 1), min_size=1, max_size=3)))
    return All(of=parts) if kind == "all" else Any(of=parts)


def plainly(condition: Condition, row: dict[str, float | str | None]) -> bool | None:
    """Return the truth of one row in three-valued logic, written down without arrays."""
    if isinstance(condition, Threshold):
        x, value = row[condition.metric], condition.value
        if not isinstance(x, float) or np.isnan(x):
            return None
        return {
            "gt": x > value,
            "ge": x >= value,
            "lt": x < value,
            "le": x <= value,
            "eq": x == value,
            "ne": x != value,
        }[condition.operator.value]
    if isinstance(condition, Pattern):
        text = row[condition.field]
        return None if not isinstance(text, str) else re.search(condition.regex, text) is not None
    if isinstance(condition, Not):
        inner = plainly(condition.of, row)
        return None if inner is None else not inner
    parts = [plainly(part, row) for part in condition.of]
    decisive = isinstance(condition, Any)
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


@given(
    conditions(),
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 1.0, 2.0, 3.0, float("nan")]),
            st.sampled_from([0.0, 1.0, 2.0, 3.0, float("nan")]),
            st.sampled_from(["a", "ab", "b", "", None]),
        ),
        min_size=1,
        max_size=8,
    ),
)
@settings(max_examples=150, deadline=None)
def test_predicate_over_columns_is_three_valued_logic_over_rows(
    condition: Condition, rows: list[tuple[float, float, str | None]]
) -> None:
    values = np.array([[first, second] for first, second, _ in rows])
    columns = Columns(NAMES, values, lambda _: [text for _, _, text in rows])
    expected = [
        plainly(condition, {"latency_ms": first, "prompt_tokens": second, "model": text}) is True
        for first, second, text in rows
    ]
    assert holds(condition, columns).tolist() == expected


EVERY_KIND = [
    rule(f"{{rule_id: slow, on: event, when: {SLOW}, refractory: 7s}}"),
    rule(f"{{rule_id: row, on: event, entity: user, when: {SLOW}, consecutive: 2, refractory: 0s}}"),
    rule("{rule_id: busy, on: 10s, when: {type: threshold, metric: calls_per_s, operator: gt, value: 0.1}, "
         "for_duration: 20s, refractory: 20s}"),
    rule(f"{{rule_id: storm, on: event, sequence: [{{when: {SLOW}}}, {{when: {{type: not, of: {SLOW}}}, count: 2}}], "
         "within: 9s, refractory: 0s}"),
]  # fmt: skip


@given(
    latencies=st.lists(st.sampled_from([100.0, 2000.0]), min_size=40, max_size=120),
    cuts=st.lists(st.integers(1, 119), max_size=8),
    restart=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_cuts_and_restarts_change_nothing_that_rules_find(
    latencies: list[float], cuts: list[int], *, restart: bool
) -> None:
    events = calls(latencies)
    within = tuple(cut for cut in cuts if cut < len(events))
    # Windows and events of one batch are told in another order than those of several.
    expected = sorted(each.anomaly_id for each in found(EVERY_KIND, events))
    assert expected
    assert sorted(each.anomaly_id for each in found(EVERY_KIND, events, within, restart=restart)) == expected


def test_examples_of_the_page_are_right(tmp_path: Path) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    file = tmp_path / "rules.yaml"
    file.write_text(block)
    assert [each.rule_id for each in read_rules(file)] == re.findall(r"rule_id: (\S+)", block)


def test_commands_say_what_is_right_and_what_is_wrong(tmp_path: Path) -> None:
    file, source = tmp_path / "rules.yaml", tmp_path / "in.jsonl"
    file.write_text(f"[{{rule_id: slow, on: event, when: {SLOW}}}]")
    source.write_bytes(b"\n".join(encode(event) for event in calls([100.0, 2000.0])))
    runner = CliRunner()
    app: typer.Typer = commands
    assert "1 rules are right: slow" in runner.invoke(app, ["check", str(file)]).output
    tried = runner.invoke(app, ["test", str(file), str(source)])
    assert "1 rules, 1 anomalies" in tried.output
    file.write_text("[{rule_id: slow, on: event}]")
    refused = runner.invoke(app, ["check", str(file)])
    assert isinstance(refused.exception, SentinelError)
    assert "rule slow: when, sequence: give exactly one of them" in str(refused.exception)
