"""Statistics learnt one observation at a time, against scipy and numpy over the whole sample."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy import stats as reference

from udfs.calibration import calibrate, deviation_decades, nats_decades
from udfs.stats.binomial import least_failures, tail_decades
from udfs.stats.moments import MEAN, MOMENTS_WIDTH, VARIANCE, adopt_level, learn_moments
from udfs.stats.quantiles import BAND_WIDTH, HIGH, LOW, MAD, MAD_WIDTH, MEDIAN, learn_band, learn_median
from udfs.stats.scale import LINEAR, LOG, from_scale, to_scale
from udfs.stats.tables import quantile_table, table_decades
from udfs.stats.tail import FIRST_RECORD, LARGEST_FACTOR, NORMAL_RECORD, learn_tail, tail_factor

NEVER_FORGETS = 1e-9
NORMAL_99 = float(reference.norm.ppf(0.99))


@given(st.integers(0, 2**32 - 1), st.integers(20, 400))
@settings(max_examples=25, deadline=None)
def test_moments_of_ordinary_values_are_mean_and_variance_of_the_sample(seed: int, size: int) -> None:
    """Bounded values never reach three deviations, so nothing is cut off and the plain averages must come out."""
    values = np.random.default_rng(seed).uniform(-1.0, 1.0, size)
    state = np.zeros(MOMENTS_WIDTH)
    for value in values:
        # A floor of 10 keeps every value within reach also while the scatter is still being found.
        learn_moments(state, value, 1.0, 10.0, NEVER_FORGETS)
    assert state[MEAN] == pytest.approx(values.mean(), abs=1e-12)
    assert state[VARIANCE] == pytest.approx(values.var(), rel=1e-9)


def test_one_absurd_value_moves_the_mean_by_three_deviations_over_n_at_most() -> None:
    values = np.random.default_rng(3).normal(0.0, 1.0, 200)
    state = np.zeros(MOMENTS_WIDTH)
    for value in values:
        learn_moments(state, value, 1.0, 0.01, NEVER_FORGETS)
    before = state[MEAN]
    learn_moments(state, 1e12, 1.0, 0.01, NEVER_FORGETS)
    # Three deviations of about 1.07, over 201 values.
    assert 0.0 < state[MEAN] - before < 3.5 / 201


def test_adopted_level_is_the_mean_and_keeps_the_scatter() -> None:
    state = np.zeros(MOMENTS_WIDTH)
    for value in np.random.default_rng(4).normal(0.0, 1.0, 100):
        learn_moments(state, value, 1.0, 0.01, NEVER_FORGETS)
    scatter = state[VARIANCE]
    adopt_level(state, 50.0)
    assert (state[MEAN], state[VARIANCE]) == (50.0, scatter)


def test_median_and_mad_settle_at_those_of_the_sample() -> None:
    values = np.random.default_rng(5).lognormal(3.0, 1.0, 20_000)
    state = np.zeros(MAD_WIDTH)
    for value in values:
        learn_median(state, value, 1.0, 1.0, 1e-6, NEVER_FORGETS)
    assert state[MEDIAN] == pytest.approx(np.median(values), rel=0.05)
    assert state[MAD] == pytest.approx(reference.median_abs_deviation(values), rel=0.08)


def test_band_settles_at_the_outer_quantiles_of_the_sample() -> None:
    values = np.random.default_rng(6).gumbel(0.0, 1.0, 40_000)
    state = np.zeros(BAND_WIDTH)
    for value in values:
        learn_band(state, value, 0.99, NORMAL_99, 1e-6, NEVER_FORGETS)
    below, above = np.mean(values < state[LOW]), np.mean(values > state[HIGH])
    assert 0.005 < below < 0.02
    assert 0.005 < above < 0.02
    assert state[MEDIAN] == pytest.approx(np.median(values), abs=0.05)


@given(st.floats(allow_nan=False, allow_infinity=False, width=64), st.sampled_from([LINEAR, LOG]))
def test_every_finite_value_has_a_finite_place_on_the_scale(x: float, scale: float) -> None:
    assert math.isfinite(to_scale(x, scale))
    assert math.isfinite(from_scale(to_scale(x, scale), scale))


@given(st.floats(-1e9, 1e9))
def test_logarithmic_scale_is_undone(x: float) -> None:
    assert from_scale(to_scale(x, LOG), LOG) == pytest.approx(x, rel=1e-9, abs=1e-9)


@given(st.integers(1, 400), st.floats(0.001, 0.5), st.floats(5.0, 1e5), st.data())
@settings(max_examples=60, deadline=None)
def test_improbability_of_failures_is_that_of_the_beta_binomial_law(
    calls: int, rate: float, strength: float, data: st.DataObject
) -> None:
    failures = data.draw(st.integers(0, calls))
    law = reference.betabinom(calls, rate * strength, (1.0 - rate) * strength)
    found = tail_decades(failures, calls, rate, strength)
    if failures <= calls * rate:
        assert found == 0.0
    else:
        tail = special.logsumexp(law.logpmf(np.arange(failures, calls + 1)))
        assert found == pytest.approx(-tail / math.log(10.0), rel=1e-3, abs=1e-3)


@given(st.integers(1, 400), st.floats(0.001, 0.5), st.floats(5.0, 1e5), st.floats(0.5, 12.0))
@settings(max_examples=60, deadline=None)
def test_least_failures_are_the_fewest_that_are_improbable_enough(
    calls: int, rate: float, strength: float, decades: float
) -> None:
    least = least_failures(decades, calls, rate, strength)
    assert least == calls + 1 or tail_decades(least, calls, rate, strength) >= decades
    assert tail_decades(least - 1, calls, rate, strength) < decades


def test_surprise_of_a_deviation_is_the_normal_law_up_to_three() -> None:
    for z in (0.0, 0.5, 1.0, 2.0, 2.9, 3.0):
        assert deviation_decades(z) == pytest.approx(-math.log10(2.0 * reference.norm.sf(z)), abs=1e-3)
    # Seamless at 3, and less than the normal law beyond.
    assert deviation_decades(3.0 + 1e-9) == pytest.approx(deviation_decades(3.0), abs=1e-3)
    assert deviation_decades(8.0) < -math.log10(2.0 * reference.norm.sf(8.0))


@given(st.floats(-5.0, 1e4), st.floats(-5.0, 1e4))
def test_calibrated_score_rises_within_0_and_1(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert 0.0 <= calibrate(low) <= calibrate(high) <= 1.0


def test_one_in_a_million_scores_one_half() -> None:
    assert calibrate(6.0) == 0.5
    assert nats_decades(math.log(1e6)) == pytest.approx(6.0)


def test_tail_record_of_a_normal_law_forgives_nothing_and_a_heavy_one_forgives() -> None:
    generator = np.random.default_rng(7)
    factors = {}
    for name, values in (("normal", generator.normal(size=20_000)), ("heavy", generator.standard_t(3, size=20_000))):
        record = 0.0
        for value in values:
            record = learn_tail(record, value, 0.01)
        factors[name] = tail_factor(record)
    assert factors["normal"] < 1.3
    assert factors["heavy"] > 1.5 * factors["normal"]
    assert tail_factor(0.0) == FIRST_RECORD / NORMAL_RECORD
    assert tail_factor(1e9) == LARGEST_FACTOR


def test_quantile_table_is_met_at_its_quantiles_and_goes_on_beyond() -> None:
    table = quantile_table([(0.0, 0.0), (0.9, 1.0), (0.99, 2.0), (0.999, 3.0)])
    assert [table_decades(score, table, 0) for score in (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0)] == pytest.approx(
        [0.0, 0.0, 0.5, 1.0, 2.0, 3.0]
    )
    assert table_decades(5.0, table, 0) == pytest.approx(5.0)
    assert table_decades(1e9, table, 0) == 30.0


def test_quantile_table_of_one_value_is_refused() -> None:
    with pytest.raises(ValueError, match="two different quantiles"):
        quantile_table([(0.0, 1.0), (0.5, 1.0), (1.0, 1.0)])
