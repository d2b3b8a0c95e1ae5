"""The measures of detection quality, against independent implementations and by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tests.quality.floors import FLOORS, record_rule
from tests.quality.labelled_data import Labelled, Labels
from tests.quality.measures import average_precision, composite_f1, events, vus_pr
from tests.quality.nab_rule import PROFILES, nab_score, nab_score_at
from udfs.kernels import Floats


def drawn(seed: int) -> tuple[Labels, Floats]:
    draw = np.random.default_rng(seed)
    labels = np.zeros(500, dtype=np.int64)
    for start in draw.integers(0, 480, 5):
        labels[start : start + 8] = 1
    return labels, np.round(draw.random(500) + 0.4 * labels, 2).astype(np.float64)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_sklearn(seed: int) -> None:
    labels, score = drawn(seed)
    assert average_precision(labels, score) == pytest.approx(average_precision_score(labels, score))


def test_one_row_of_each_event_is_enough_for_a_perfect_composite() -> None:
    labels = np.array([0, 1, 1, 0, 0, 1, 1, 0])
    assert composite_f1(labels, np.array([0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.8, 0.0])) == 1.0
    # One event, and one of two rows right: precision 1/2 with recall 1/2, or all rows: 1/2 with 1.
    assert composite_f1(labels, np.array([0.9, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])) == pytest.approx(2 / 3)
    assert events(labels) == [(1, 3), (5, 7)]


@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_score_has_more_volume_than_a_late_and_a_random_one(seed: int) -> None:
    labels, random_score = drawn(seed)
    late = np.roll(labels, 4).astype(np.float64)
    assert vus_pr(labels, labels + 1e-3 * random_score) > vus_pr(labels, late + 1e-3 * random_score)
    assert vus_pr(labels, late + 1e-3 * random_score) > vus_pr(labels, random_score[::-1].copy())
    assert vus_pr(labels, labels + 1e-3 * random_score) > 0.8


def laid(spans: tuple[tuple[int, int], ...]) -> Labelled:
    count = 1_000
    return Labelled("c/f.csv", np.arange(count), np.zeros(count), np.zeros(count, dtype=np.int64), spans)


def test_nab_gives_100_at_the_left_edge_0_for_nothing_and_takes_false_rows_off() -> None:
    series, standard = laid(((400, 499),)), PROFILES[0]
    score = np.zeros(1_000)
    assert nab_score_at([series], [score], standard, 0.5).score == 0.0
    score[400] = 1.0
    assert nab_score_at([series], [score], standard, 0.5).score == pytest.approx(100.0)
    score[10] = 1.0  # within the first 15 %
    assert nab_score_at([series], [score], standard, 0.5).score == pytest.approx(100.0)
    score[200] = score[950] = 1.0
    assert nab_score_at([series], [score], standard, 0.5).score == pytest.approx(100.0 - 2 * 0.11 / 2 * 100.0)
    late = np.zeros(1_000)
    late[499] = 1.0
    assert 50.0 < nab_score_at([series], [late], standard, 0.5).score < 55.0


def test_nab_finds_the_best_threshold() -> None:
    score = np.zeros(1_000)
    score[450], score[300], score[700] = 0.9, 0.6, 0.5
    found = nab_score([laid(((400, 499),))], [score], PROFILES[1])
    assert (found.threshold, found.windows_found, found.false_rows, found.delay_rows) == (0.9, 1, 0, 50.0)


@pytest.mark.parametrize("name", FLOORS)
def test_floors_are_causal(name: str) -> None:
    values = np.random.default_rng(1).normal(size=1_000)
    values[100] = np.nan
    assert np.array_equal(FLOORS[name](values)[:600], FLOORS[name](values[:600]))


def test_record_rule_speaks_of_a_new_record_and_is_then_silent() -> None:
    values = np.sin(np.arange(500.0))
    values[300:310] = 2.0 + 0.1 * np.arange(10)
    assert np.flatnonzero(record_rule(values) >= 0.002).tolist() == [300]


@pytest.mark.parametrize("seed", range(3))
def test_rolling_robust_floor_is_median_and_mad_of_the_window(seed: int) -> None:
    values = np.random.default_rng(seed).standard_t(2, 400)
    score = FLOORS["rolling robust z-score"](values)
    for i in (11, 50, 399):
        past = np.sort(values[:i])
        median = past[i // 2]
        deviation = np.sort(np.abs(past - median))[i // 2]
        assert score[i] == pytest.approx(abs(values[i] - median) / (deviation + 1e-9))
