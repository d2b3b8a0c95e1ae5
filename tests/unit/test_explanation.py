"""What an anomaly says of itself: what was expected, how rare it is, and who moved."""

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.backtest.telemetry import backtest
from schemas.anomaly import Anomaly, EntityType, Moved
from schemas.codec import encode
from tests.calls import START_AT_MS, call
from tests.runs import expected as troubled
from udfs.aggregates import AGGREGATES, SUMMARY_METRIC_NAMES
from udfs.calibration import calibrate, decades_of
from udfs.entity import model_key
from udfs.explanation import rarity_text
from udfs.kernels import Floats
from udfs.moved import PARTS_MAX, Part, added, far_parts, moved_by
from udfs.settings import DetectionSettings


@given(st.floats(0.0, 200.0))
def test_rarity_is_read_back_from_the_score(decades: float) -> None:
    assert decades_of(calibrate(decades)) == pytest.approx(decades, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("decades", "said"),
    [
        (0.5, "by itself that is nothing rare"),
        (3.0, "when all is well, about one observation in 1,000 is so unusual"),
        (5.15, "when all is well, about one observation in 140,000 is so unusual"),
        (12.0, "when all is well, less than one observation in a billion is so unusual"),
    ],
)
def test_rarity_is_said_in_numbers_people_use(decades: float, said: str) -> None:
    assert rarity_text(calibrate(decades)) == said


def failing(application: int) -> Iterator[bytes]:
    """Yield fifteen minutes of calls of six applications, of which one fails and is slow in the last five."""
    draw = np.random.default_rng(3)
    for number in range(900 * 12):
        at_ms = START_AT_MS + number * 1000 // 12
        is_hit = number % 6 == application and at_ms >= START_AT_MS + 720_000
        latency_ms = draw.lognormal(6.0, 0.3) * (6.0 if is_hit else 1.0)
        yield encode(
            call(number, at_ms, number % 6, latency_ms, is_error=bool(draw.random() < (0.6 if is_hit else 0.01)))
        )


@cache
def found() -> list[Anomaly]:
    return backtest(failing(4), DetectionSettings()).anomalies


def of_kind(kind: EntityType) -> list[Anomaly]:
    return [each for each in found() if each.affected_entity.type is kind]


def test_anomaly_of_a_tenants_provider_names_the_application_that_moved_and_no_tenant() -> None:
    told = of_kind(EntityType.TENANT_PROVIDER)
    assert told
    for each in told:
        shares = {(part.dimension, part.value): part.share for part in each.moved}
        assert shares["application", "application-4"] >= 0.8, each.moved
        assert shares["model", "gpt-4o"] == 1.0
        assert not any(dimension == "tenant" for dimension, _ in shares)
        assert "Most of it: application application-4 (" in each.explanation


def test_anomaly_of_a_provider_names_the_tenant_for_operators() -> None:
    told = of_kind(EntityType.PROVIDER)
    assert told
    for each in told:
        assert each.tenant_id is None
        assert each.moved[0].dimension == "tenant"
        assert each.moved[0].value == "tenant-0"
        assert each.moved[0].share >= 0.8


def test_anomaly_of_a_call_names_its_user_and_says_how_far_off_it_is() -> None:
    [told, *_] = [each for each in troubled() if each.detector_id == "call-zscore" and each.metric == "latency_ms"]
    assert told.moved == (Moved(dimension="user", value="user-4", share=1.0),)
    assert told.explanation.startswith("latency_ms was 9,000,000 ms, ")
    assert " times the expected " in told.explanation
    assert told.explanation.endswith("is so unusual. The call is of user user-4.")


def test_every_anomaly_explains_itself() -> None:
    for each in [*found(), *troubled()]:
        assert each.explanation.endswith(".")
        assert not re.search(r"\b(nan|inf)\b", each.explanation)


def windows(values: list[float]) -> tuple[list[str], Floats, Floats, dict[str, Floats]]:
    """Return 10 s windows of models with these mean latencies, where 100 ms (80 to 140 ms) was expected."""
    keys = [model_key("openai", "gpt-4o", "acme", f"application-{i}") for i in range(len(values))]
    aggregates = np.zeros((len(values), len(AGGREGATES)))
    aggregates[:, AGGREGATES.index("latency_count")] = 10.0
    metrics = np.full((len(values), len(SUMMARY_METRIC_NAMES)), np.nan)
    metrics[:, SUMMARY_METRIC_NAMES.index("latency_ms_mean")] = values
    return keys, aggregates, metrics, {"latency_ms_mean": np.tile([100.0, 80.0, 140.0], (len(values), 1))}


def test_only_parts_beyond_half_their_range_are_named_with_their_excess() -> None:
    far = far_parts(*windows([100.0, 119.0, 121.0, 91.0, 89.0, np.nan]))
    assert far == {
        2: [Part("latency_ms_mean", "acme", "application-2", "gpt-4o", 210.0)],
        4: [Part("latency_ms_mean", "acme", "application-4", "gpt-4o", -110.0)],
    }


def test_shares_are_of_the_side_that_moved_and_quantiles_follow_their_mean() -> None:
    parts = [
        Part("latency_ms_mean", "acme", name, "m", excess) for name, excess in (("a", 30.0), ("b", 10.0), ("c", -99.0))
    ]
    up = (("application", "a", 0.75), ("application", "b", 0.25), ("model", "m", 1.0))
    for metric in ("latency_ms_mean", "latency_ms_p95"):
        moved = moved_by(parts, metric, 1, names_tenants=False)
        assert tuple((each.dimension, each.value, each.share) for each in moved) == up
    assert moved_by(parts, "latency_ms_mean", -1, names_tenants=False)[0].value == "c"
    assert moved_by(parts, "error_rate", 1, names_tenants=False) == ()


parts_lists = st.lists(
    st.builds(
        Part,
        st.sampled_from(["error_rate", "latency_ms_mean"]),
        st.just("acme"),
        st.sampled_from("abc"),
        st.just("m"),
        st.integers(-100, 100).map(float),
    ),
    max_size=12,
)


@given(parts_lists, parts_lists)
def test_parts_of_shards_add_up_in_any_order(first: list[Part], second: list[Part]) -> None:
    assert added([*added(first), *added(second)]) == added([*second, *first])


def test_parts_are_bounded() -> None:
    many = [Part("error_rate", "acme", f"application-{i}", "m", float(i)) for i in range(1_000)]
    kept = added(many)
    assert len(kept) == PARTS_MAX
    assert min(part.excess for part in kept) == 1_000 - PARTS_MAX
