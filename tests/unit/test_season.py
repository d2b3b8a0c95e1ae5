"""The season is learnt by the hour of day and week, is drawn towards nothing, and makes a fall at noon stand out."""

import numpy as np
import pytest

from schemas.time import to_at_ms
from udfs.detector import Detector
from udfs.detectors.defaults import default_detectors
from udfs.detectors.moving_average import MovingAverage
from udfs.driver import Driver
from udfs.kernels import Floats, Integers
from udfs.stats.season import DAY, HOUR_MS, SEASON_WIDTH, WEEK, learn_season, season_at

MONDAY_MS = to_at_ms("2026-09-21T00:00:00Z")
MINUTE_MS, WEEK_MS = 60_000, 7 * 24 * 3_600_000
[VOLUME] = [each for each in default_detectors() if each.detector_id == "seasonal-volume-1m"]


def learnt(differences: Floats, at_ms: Integers) -> Floats:
    """Return the state of a season that was shown what a level of 0 does not explain."""
    state = np.zeros(SEASON_WIDTH)
    for difference, each in zip(differences, at_ms.tolist(), strict=True):
        learn_season(state, 0, difference - season_at(state, 0, each), each, float(MINUTE_MS))
    return state


def minutes(weeks: float) -> Integers:
    return MONDAY_MS + MINUTE_MS * np.arange(int(weeks * WEEK_MS / MINUTE_MS))


def test_hours_of_the_day_are_known_after_days_and_those_of_the_week_after_weeks() -> None:
    at_ms = minutes(4)
    days = (at_ms - MONDAY_MS) // (24 * 3_600_000) % 7
    course = np.sin(2 * np.pi * at_ms / 86_400_000)
    wanted = course - np.where(days >= 5, 2.0, 0.0)
    state = learnt(wanted, at_ms)
    told = np.array([season_at(state, 0, each + WEEK_MS) for each in at_ms[-10_080:].tolist()])
    assert np.abs(told - wanted[-10_080:]).mean() < 0.35
    # After one week the day is known, and that Saturdays differ is only guessed at.
    early = learnt(wanted[:10_080], at_ms[:10_080])
    noon = MONDAY_MS + WEEK_MS + 5 * 86_400_000 + 12 * 3_600_000
    assert -1.7 < season_at(early, 0, noon) < -0.3


def test_mondays_first_hour_is_the_first_of_the_week() -> None:
    state = np.zeros(SEASON_WIDTH)
    learn_season(state, 0, 1.0, MONDAY_MS + int(HOUR_MS / 2), float(MINUTE_MS))
    assert np.flatnonzero(state[DAY:]).tolist() == [0, WEEK - DAY]


def test_between_the_middles_of_two_hours_it_is_a_straight_line() -> None:
    state = np.zeros(SEASON_WIDTH)
    state[DAY + 3], state[DAY + 4] = 1.0, 2.0
    at_ms = [MONDAY_MS + int((3.5 + share) * HOUR_MS) for share in (0.0, 0.25, 0.5, 1.0)]
    assert [season_at(state, 0, each) for each in at_ms] == pytest.approx([1.0, 1.25, 1.5, 2.0])


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_no_season(seed: int) -> None:
    draw, at_ms = np.random.default_rng(seed), minutes(2)
    state = learnt(draw.standard_normal(len(at_ms)), at_ms)
    assert np.sqrt(np.mean(state[DAY:] ** 2)) < 0.1


def told(detector: Detector, calls_per_s: Floats, at_ms: Integers) -> Integers:
    driver = Driver(detector, ["calls_per_s"])
    states, rows = np.zeros((1, driver.width)), np.zeros(len(at_ms), dtype=np.int64)
    return driver.run(states, 0, rows, at_ms, calls_per_s.reshape(-1, 1), 60 * calls_per_s).at_ms


@pytest.mark.parametrize("seed", range(3))
def test_a_fall_at_the_peak_stands_out_that_is_ordinary_at_night(seed: int) -> None:
    """A third of the calls at noon are still more than all of them at midnight."""
    draw, at_ms = np.random.default_rng([seed, 11]), minutes(1)
    expected = 4.0 * (1.0 - 0.8 * np.cos(2 * np.pi * (at_ms - MONDAY_MS) / 86_400_000))
    calls_per_s = draw.poisson(60 * expected) / 60.0
    assert told(VOLUME, calls_per_s, at_ms).tolist() == []
    noon = len(at_ms) - 720
    calls_per_s[noon : noon + 30] = draw.poisson(60 * expected[noon : noon + 30] / 3.0) / 60.0
    first = told(VOLUME, calls_per_s, at_ms)
    assert len(first)
    assert at_ms[noon] < first[0] <= at_ms[noon] + 15 * MINUTE_MS
    assert isinstance(VOLUME, MovingAverage)
    flat = MovingAverage(**{**{name: getattr(VOLUME, name) for name in VOLUME.__struct_fields__}, "season": False})
    assert told(flat, calls_per_s, at_ms).tolist() == []
