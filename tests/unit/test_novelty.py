"""What the parts of the detector `novelty` promise: records that hold for a while, and a profile of the day."""

import numpy as np
import pytest

from udfs.detectors.novelty import Novelty
from udfs.stats.records import RECORD_WIDTH, begin_block, begin_record, excess_beyond, learn_record
from udfs.stats.time_of_day import DAY_MS, PROFILE_WIDTH, expected_at, learn_time_of_day

STEP_MS = 600_000
START_AT_MS = 1_790_000_000_000
_score, _learn, *_ = Novelty.kernels
DETECTOR = Novelty(detector_id="novelty", on="1m", metrics=("value",))


def test_a_record_holds_for_one_to_two_blocks() -> None:
    state = np.zeros(RECORD_WIDTH)
    begin_record(state, 0, 0.0)
    learn_record(state, 0, 10.0)
    assert excess_beyond(state, 0, 5.0) == 0.0
    assert excess_beyond(state, 0, 12.0) == pytest.approx(0.2)
    assert excess_beyond(state, 0, -1.0) == pytest.approx(-0.1)
    begin_block(state, 0, 4.0)
    assert excess_beyond(state, 0, 10.0) == 0.0
    learn_record(state, 0, 6.0)
    begin_block(state, 0, 5.0)
    assert excess_beyond(state, 0, 7.0) == pytest.approx(0.5)


def test_a_series_that_never_moved_is_exceeded_by_much() -> None:
    state = np.zeros(RECORD_WIDTH)
    begin_record(state, 0, 3.0)
    assert excess_beyond(state, 0, 3.0) == 0.0
    assert excess_beyond(state, 0, 3.1) > 100.0
    assert excess_beyond(state, 0, 2.9) < -100.0


@pytest.mark.parametrize(("rise", "off"), [(50.0, 3.0), (0.0, 1.0)])
def test_a_daily_rhythm_is_expected_where_there_is_one(rise: float, off: float) -> None:
    state, draw = np.zeros(PROFILE_WIDTH), np.random.default_rng(1)
    at_ms = START_AT_MS + STEP_MS * np.arange(1_008)
    usual = 100.0 + rise * np.sin(2.0 * np.pi * at_ms / DAY_MS)
    errors = []
    for count, (at, level) in enumerate(zip(at_ms.tolist(), usual.tolist(), strict=True), 1):
        errors.append(abs(expected_at(state, 0, at) - level))
        learn_time_of_day(state, 0, level + draw.normal(), at, float(count), float(STEP_MS), np.inf)
    assert np.mean(errors[432:]) < off


def test_one_outlier_does_not_move_the_profile_by_more_than_its_reach() -> None:
    state = np.zeros(PROFILE_WIDTH)
    for day in range(5):
        for place in range(144):
            at = START_AT_MS + STEP_MS * (144 * day + place)
            learn_time_of_day(state, 0, 100.0, at, 1.0 + 144 * day + place, float(STEP_MS), 3.0)
    learn_time_of_day(state, 0, 1e6, START_AT_MS, 721.0, float(STEP_MS), 3.0)
    assert abs(expected_at(state, 0, START_AT_MS) - 100.0) < 1.0


def news(values: list[float]) -> list[float]:
    state, parameters = np.zeros(DETECTOR.state_width), DETECTOR.parameters()
    told = []
    for k, x in enumerate(values):
        at_ms = START_AT_MS + 60_000 * k
        told.append(_score(state, x, 1.0, at_ms, parameters))
        _learn(state, x, 1.0, at_ms, parameters, 1.0)
    return told


def test_what_goes_on_is_no_news_unless_it_is_several_times_as_large() -> None:
    usual = np.random.default_rng(1).normal(100.0, 1.0, 3_000).tolist()
    told = news([*usual, *[108.0] * 10, *[160.0] * 10, *usual[:500], 300.0])
    assert told[3_000] >= 1.0
    assert not any(abs(each) >= 1.0 for each in told[3_001:3_010])
    assert told[-1] >= 1.0


def test_the_side_is_that_of_the_news() -> None:
    usual = np.random.default_rng(1).normal(100.0, 1.0, 3_000).tolist()
    assert news([*usual, 200.0])[-1] >= 1.0
    assert news([*usual, 0.0])[-1] <= -1.0
