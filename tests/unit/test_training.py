"""Training: models are what their libraries say, and a detector with one finds what no metric shows by itself."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from jobs.backtest import telemetry
from jobs.backtest.control import in_force
from jobs.cli.app import app
from jobs.errors import SentinelError
from jobs.training import forest, network
from jobs.training.files import read_model, write_model
from jobs.training.fit import WINDOWS_MIN, fit
from jobs.training.recent import common_variance, deviations_of
from jobs.training.windows import Windows, join, read_files
from schemas.anomaly import Anomaly
from schemas.codec import encode
from schemas.model import PublishedModel
from schemas.summary import Summary
from schemas.telemetry import TelemetryEvent
from schemas.time import to_at_ms
from tests.calls import START_AT_MS
from tests.odd_traffic import traffic
from udfs.detector import Detector, resolutions
from udfs.settings import DetectionSettings
from udfs.stats.tables import quantile_table, table_decades

SETTINGS = DetectionSettings()
TRAINABLE = [each for each in SETTINGS.detectors if each.needs_model]
EVERY = pytest.mark.parametrize("detector", TRAINABLE, ids=lambda detector: detector.detector_id)
ODD = (0.7, 1.2, 1.3)
"""Of latency, time to first token and prompt tokens: each within what is ordinary."""
FOREST, NETWORK = (
    next(each for each in TRAINABLE if each.detector_id == name) for name in ("isolation-forest-1m", "autoencoder-1m")
)


@cache
def summaries() -> tuple[Summary, ...]:
    """Return what the job publishes of five healthy hours."""
    return tuple(telemetry.backtest(map(encode, traffic(1, 5)), SETTINGS).summaries)


@cache
def model_of(detector: Detector) -> PublishedModel:
    """Return a model fitted on the healthy hours."""
    return fit(join(summaries(), detector), detector, seed=1, now_ms=START_AT_MS)


def found(events: Iterable[TelemetryEvent], *models: PublishedModel) -> list[Anomaly]:
    """Return the anomalies of a backtest with models in force."""
    return telemetry.backtest(map(encode, events), SETTINGS, in_force((), models, SETTINGS.detectors)).anomalies


def by(anomalies: Iterable[Anomaly], *detectors: Detector) -> list[Anomaly]:
    """Return those that some detectors told; `joint-1m` tells of the odd hour without a model."""
    return [each for each in anomalies if each.detector_id in {detector.detector_id for detector in detectors}]


@EVERY
def test_raw_score_is_what_the_library_says(detector: Detector) -> None:
    """A detector that tells of everything scores windows of one entity, far ones among them."""
    windows = join(summaries(), detector)
    model = model_of(detector)
    variance = common_variance(windows, detector)
    deviations = deviations_of(windows, detector, variance)
    fitted_on = np.random.default_rng(1).permutation(len(deviations))[len(deviations) // 4 :]
    by_library = (forest.fit if detector is FOREST else network.fit)(deviations[fitted_on], 1)
    factors = np.random.default_rng(5).lognormal(0.0, 0.7, (300, len(detector.metrics)))
    factors[:100] = 1.0
    [(_, rows), *_] = windows.by_entity()
    values = windows.vectors[rows][:300] * factors
    one = Windows(values, windows.volumes[rows][:300], windows.ends_at_ms[rows][:300], ("one",) * len(values))
    table = quantile_table(model.training.score_quantiles)
    given = deviations_of(one, replace(detector, warm_up_samples=1), variance)
    wanted = [table_decades(score, table, 0) for score in by_library.scores(given).tolist()]
    kernels, parameters = detector.kernels, detector.model_parameters(model)
    state, shares, scores = np.zeros(detector.state_width), np.zeros(len(detector.metrics)), []
    for x, volume in zip(values / resolutions(detector.metrics), one.volumes.tolist(), strict=True):
        scores.append(kernels.score(state, x, volume, START_AT_MS, parameters, shares))
        kernels.learn(state, x, volume, START_AT_MS, parameters, 1.0)
    assert max(scores) > 5.0
    np.testing.assert_allclose(scores[1:], wanted, atol=1e-4)


def test_ordinary_traffic_is_no_anomaly_and_an_odd_combination_is() -> None:
    models = [model_of(detector) for detector in TRAINABLE]
    assert found(traffic(9, 4), *models) == []
    assert by(found(traffic(9, 4, change=ODD)), *TRAINABLE) == []
    told = found(traffic(9, 4, change=ODD), *models)
    assert {(each.detector_id, each.application_id) for each in told} == {
        (name, "application-0") for name in ("joint-1m", *(each.detector_id for each in TRAINABLE))
    }
    anomalies = by(told, *TRAINABLE)
    assert {each.detector_version for each in anomalies} == {model.version for model in models}
    change_at_ms = START_AT_MS + 3 * 3_600_000
    # Two minutes in a row, counted from the end of the first whole one.
    assert change_at_ms < min(to_at_ms(each.timestamp) for each in anomalies) <= change_at_ms + 3 * 60_000


def test_what_changes_jointly_is_found_without_a_model_where_single_metrics_tell_nothing() -> None:
    for change in (ODD, (1.2, 0.8, 1.0)):
        anomalies = found(traffic(9, 4, change=change))
        assert {(each.detector_id, each.application_id) for each in anomalies} == {("joint-1m", "application-0")}
        change_at_ms = START_AT_MS + 3 * 3_600_000
        assert change_at_ms < min(to_at_ms(each.timestamp) for each in anomalies) <= change_at_ms + 3 * 60_000


def test_model_scores_from_its_effective_time_on() -> None:
    effective_at_ms = START_AT_MS + 170 * 60_000
    later = replace(model_of(NETWORK), effective_at_ms=effective_at_ms)
    anomalies = by(found(traffic(9, 4, change=ODD), later), NETWORK)
    # Its warm-up begins with the model, ten minutes before the change.
    assert min(to_at_ms(each.timestamp) for each in anomalies) >= effective_at_ms + 14 * 60_000


def test_model_that_takes_effect_in_mid_stream_finds_the_same_however_records_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = replace(model_of(NETWORK), effective_at_ms=START_AT_MS + 45 * 60_000)
    events = list(traffic(9, 2, change=ODD))
    at_once = found(events, later)
    assert by(at_once, NETWORK)
    for batch in (7, 4_096):
        monkeypatch.setattr(telemetry, "BATCH", batch)
        cut = found(events, later)
        assert {each.anomaly_id for each in cut} == {each.anomaly_id for each in at_once}
        # In the order of time for each detector; a batch tells one detector after the other.
        assert [each.anomaly_id for each in by(cut, NETWORK)] == [each.anomaly_id for each in by(at_once, NETWORK)]


@EVERY
def test_same_windows_and_seed_give_the_same_model_and_another_seed_another(detector: Detector) -> None:
    windows = join(summaries(), detector)
    again = fit(windows, detector, seed=1, now_ms=START_AT_MS)
    assert encode(again) == encode(model_of(detector))
    assert fit(windows, detector, seed=2, now_ms=START_AT_MS).version != again.version


@EVERY
def test_model_survives_a_file(detector: Detector, tmp_path: Path) -> None:
    write_model(tmp_path / "model.json", model_of(detector))
    assert encode(read_model(tmp_path / "model.json")) == encode(model_of(detector))


def test_windows_join_what_the_detector_saw_once() -> None:
    windows = join((*summaries(), *summaries()), NETWORK)
    # Five hours of six applications, which begin and end within a minute; the last is still open.
    assert windows.vectors.shape == (6 * 5 * 60, len(NETWORK.metrics))
    assert len(list(windows.by_entity())) == len(set(windows.entities)) == 6
    assert all((np.diff(windows.ends_at_ms[rows]) == 60_000).all() for _, rows in windows.by_entity())
    one = next(each for each in summaries() if each.metric_name == NETWORK.metrics[0])
    assert one.value in windows.vectors[:, 0]


def test_too_little_or_nothing_to_learn_is_refused() -> None:
    windows = join(summaries(), NETWORK)
    kept = WINDOWS_MIN - 1
    few = Windows(windows.vectors[:kept], windows.volumes[:kept], windows.ends_at_ms[:kept], windows.entities[:kept])
    with pytest.raises(SentinelError, match=r"9\d\d windows of 1m with at least 5 calls, after the first 15 of each "):
        fit(few, NETWORK, seed=1, now_ms=0)
    alike = windows._replace(vectors=np.ones_like(windows.vectors))
    with pytest.raises(SentinelError, match="alike"):
        fit(alike, FOREST, seed=1, now_ms=0)
    without = [each for each in summaries() if each.metric_name != "ttft_ms_mean"]
    with pytest.raises(SentinelError, match="no summary has ttft_ms_mean"):
        join(without, NETWORK)
    with pytest.raises(SentinelError, match=r"it sees windows of 10s of model.*the summaries are of 1m"):
        join(summaries(), replace(NETWORK, on="10s"))
    statistical = next(each for each in SETTINGS.detectors if not each.needs_model)
    with pytest.raises(SentinelError, match="needs no model"):
        fit(windows, statistical, seed=1, now_ms=0)


def test_line_that_is_no_summary_is_refused_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "summaries.jsonl"
    file.write_bytes(encode(summaries()[0]) + b'\n{"metric_name": 7}\n')
    with pytest.raises(SentinelError, match=r"summaries\.jsonl, line 2 is not a summary .*sentinel backtest"):
        list(read_files([file]))


def test_model_for_another_detector_or_a_part_of_the_entities_is_refused_in_a_backtest() -> None:
    model = model_of(NETWORK)
    with pytest.raises(SentinelError, match="no detector 'other' is configured"):
        in_force((), [replace(model, detector_id="other")], SETTINGS.detectors)
    narrowed = replace(model.scope, match=replace(model.scope.match, models=("gpt-4o",)))
    with pytest.raises(SentinelError, match=r"scope\.match: a model holds for every entity"):
        in_force((), [replace(model, scope=narrowed)], SETTINGS.detectors)


def test_from_a_backtest_to_a_model_by_commands(tmp_path: Path) -> None:
    run = CliRunner()
    (tmp_path / "healthy.jsonl").write_bytes(b"\n".join(map(encode, traffic(1, 4))))
    out, model = tmp_path / "out", tmp_path / "model.json"
    assert run.invoke(app, ["backtest", "telemetry", str(tmp_path / "healthy.jsonl"), "--out", str(out)]).exit_code == 0
    trained = run.invoke(app, ["train", "autoencoder-1m", str(out / "summaries.jsonl"), "--out", str(model)])
    assert trained.exit_code == 0, trained.output
    assert "fitted on 1350 windows of 6 entities" in trained.output
    (tmp_path / "odd.jsonl").write_bytes(b"\n".join(map(encode, traffic(9, 3, change=ODD))))
    tried = ["backtest", "telemetry", str(tmp_path / "odd.jsonl"), "--out", str(out), "--models", str(model)]
    assert run.invoke(app, tried).exit_code == 0
    assert b'"autoencoder-1m"' in (out / "anomalies.jsonl").read_bytes()
