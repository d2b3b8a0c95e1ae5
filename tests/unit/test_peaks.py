"""Peaks: excursions beyond the threshold teach what is rare in a series, whatever its detector takes for granted."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from udfs.calibration import deviation_decades
from udfs.kernels import Floats
from udfs.stats.peaks import (
    DOUBT,
    FROM_DECADES,
    MEMORY_PEAKS,
    PEAKS_WIDTH,
    PRIOR_PEAKS,
    note_decades,
    note_deviation,
    own_decades,
    own_reach,
)


def after(decades: Floats) -> Floats:
    """Return the state after observations of which the law says so many decades, each."""
    states = np.zeros((1, PEAKS_WIDTH))
    for samples, each in enumerate(decades.tolist()):
        note_decades(states, 0, 0, each, float(samples), each >= FROM_DECADES)
    return states


def decades_of(states: Floats, decades: float) -> float:
    """Return what is rare for the series right after its newest excursion."""
    return own_decades(states, 0, 0, decades, float(states[0, 1]), 0.0)


def test_nothing_known_means_that_the_law_holds_unless_it_is_doubted() -> None:
    states = np.zeros((1, PEAKS_WIDTH))
    for decades in (0.0, 1.0, 2.0, 4.0, 9.0):
        assert decades_of(states, decades) == pytest.approx(decades)
    for decades in (4.0, 9.0):
        assert FROM_DECADES < own_decades(states, 0, 0, decades, 0.0, DOUBT) < decades


def test_doubt_goes_as_excursions_come() -> None:
    states = after(-np.log10(np.random.default_rng(8).random(50_000)))
    doubted = own_decades(states, 0, 0, 5.0, float(states[0, 1]), DOUBT)
    assert doubted == pytest.approx(decades_of(states, 5.0), abs=0.2)


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_excursions_begin_within_reach_of_what_a_series_does_but_not_beyond_the_law(spread: float) -> None:
    law, states = reference.norm.isf(0.005), np.zeros((1, PEAKS_WIDTH))
    deviations = np.abs(np.random.default_rng(6).normal(0.0, spread, 5_000))
    assert own_reach(states, 0, 0, law) == law
    for each in deviations.tolist():
        note_deviation(states, 0, 0, min(each, own_reach(states, 0, 0, law)))
    reach = own_reach(states, 0, 0, law)
    assert reach <= law
    assert reach == law or 3.0 * spread < reach < 5.0 * spread


def test_series_that_never_deviates_is_not_alarmed_by_a_breath() -> None:
    law, states = 2.5, np.zeros((1, PEAKS_WIDTH))
    for _ in range(1_000):
        note_deviation(states, 0, 0, 0.0)
    assert own_reach(states, 0, 0, law) > law / 100


@pytest.mark.parametrize("seed", range(3))
def test_series_that_follows_the_law_keeps_it(seed: int) -> None:
    """By the law, decades are minus the logarithms of uniform numbers."""
    states = after(-np.log10(np.random.default_rng(seed).random(50_000)))
    assert decades_of(states, 4.0) == pytest.approx(4.0, abs=0.4)


@pytest.mark.parametrize("seed", range(3))
def test_heavy_tails_are_as_rare_as_they_are_and_not_as_a_normal_law_says(seed: int) -> None:
    """Student's t with three degrees of freedom, judged by a normal law, which is seven decades off at 8 deviations."""
    draw = np.random.default_rng(seed)
    law = np.array([deviation_decades(abs(z)) for z in draw.standard_t(3, 50_000)])
    states = after(law)
    for deviation, off in ((4.0, 0.4), (8.0, 1.2)):
        true = -math.log10(2.0 * reference.t.sf(deviation, 3))
        assert decades_of(states, deviation_decades(deviation)) == pytest.approx(true, abs=off)
        assert deviation_decades(deviation) > true + 1.0


def test_neighbours_are_one_excursion_and_its_peak_counts() -> None:
    states = after(np.array([0.0, 2.5, 3.0, 2.2, 0.0, 0.0]))
    seen, _, peaks, mean, *_ = states[0].tolist()
    assert (seen, peaks, mean) == (4.0, 1.0, 1.0)


def test_what_is_farther_is_never_more_common() -> None:
    draw = np.random.default_rng(4)
    states = after(draw.exponential(1.0, 5_000) ** 1.5)
    decades = [decades_of(states, each) for each in np.linspace(0.0, 20.0, 200)]
    assert np.all(np.diff(decades) > 0.0)


def test_old_excursions_are_forgotten() -> None:
    """A series that became quiet is quiet again to itself when its excursions were replaced once or twice."""
    draw = np.random.default_rng(5)
    loud, quiet = draw.exponential(1.0, 5_000), -np.log10(draw.random(60_000))
    states = after(np.concatenate([loud, quiet]))
    assert states[0, 2] == MEMORY_PEAKS
    assert decades_of(states, 4.0) == pytest.approx(4.0, abs=0.5)
    assert decades_of(after(loud), 4.0) < 2.5
    assert PRIOR_PEAKS < MEMORY_PEAKS
