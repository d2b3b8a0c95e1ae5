"""Severity: how sure several witnesses make us together, 0 to 100.

A noisy-or of the witnesses' strengths (Pearl, 1988, Probabilistic Reasoning in Intelligent Systems, section 4.3.2) in
which a witness counts only by the share that no stronger witness has said already. `docs/correlation.md` has worked
examples.
"""

from collections.abc import Iterable

from schemas.anomaly import Severity
from udfs.correlation.witness import Witness

MAX_WITNESSES = 12
"""Witnesses that count: among different entities the twelfth weighs a quarter, and 12 warnings score 96 already."""

# How much of one witness's testimony another repeats, 1 if they differ in nothing, times a factor for each difference.
OTHER_ENTITY = 0.25
"""Different entities have baselines of their own; they share the clock and the calendar."""
OTHER_FAMILY = 0.5
"""Latency and errors of one entity: different quantities of the same calls."""
OTHER_METRIC = 0.9
"""Mean and p95, tokens and cost: derived from one another."""
OTHER_DETECTOR_TYPE = 0.5
"""A rule, a statistic and a learned model err for different reasons."""
OTHER_DETECTOR = 0.9
"""Two statistics on the same numbers mostly err together."""
OTHER_LEVEL = 0.8
"""A minute is made of its seconds."""
SAME_CALL = 0.9
"""One long answer is slow, has many tokens and costs much: one call, one witness."""

REPEAT = 0.03
MAX_REPEATS = 5
"""A witness that repeats itself removes 3 % of the doubt each time, five times at most: a persistent fault and a
baseline that is off look alike to the detector that has it."""


def similarity(left: Witness, right: Witness) -> float:
    """Return the share of one witness's testimony that the other repeats, in (0, 1]."""
    share = 1.0
    if left.place.id != right.place.id:
        share *= OTHER_ENTITY
    if left.family != right.family:
        share *= OTHER_FAMILY
    elif left.metric != right.metric:
        share *= OTHER_METRIC
    if left.detector_type != right.detector_type:
        share *= OTHER_DETECTOR_TYPE
    elif left.detector_id != right.detector_id:
        share *= OTHER_DETECTOR
    if left.level_ms != right.level_ms:
        share *= OTHER_LEVEL
    if share < SAME_CALL and not set(left.calls).isdisjoint(right.calls):
        return SAME_CALL
    return share


def conviction(witness: Witness) -> float:
    """Return the strength of a witness with its repeats, in (0, 1)."""
    return 1.0 - (1.0 - witness.strength) * (1.0 - REPEAT) ** min(witness.count - 1, MAX_REPEATS)


def strongest(witnesses: Iterable[Witness], limit: int = MAX_WITNESSES) -> tuple[Witness, ...]:
    """Return the strongest witnesses, at most `limit`, in an order that depends on nothing but them."""
    return tuple(sorted(witnesses, key=lambda witness: (-conviction(witness), witness.key))[:limit])


def severity_score(witnesses: Iterable[Witness]) -> float:
    """Return how sure the witnesses make us together, in [0, 100).

    score = 100 * (1 - product over k of (1 - w_k * c_k)), strongest first, with the conviction c_k and the weight
    w_k = product over stronger j of (1 - w_j * similarity(k, j)): who only repeated others takes little from the next.
    No two witnesses have the same key.
    """
    doubt = 1.0
    heard: list[tuple[float, Witness]] = []
    for witness in strongest(witnesses):
        weight = 1.0
        for other_weight, other in heard:
            weight *= 1.0 - other_weight * similarity(witness, other)
        doubt *= 1.0 - weight * conviction(witness)
        heard.append((weight, witness))
    return 100.0 * (1.0 - doubt)


def severity_of(score: float, open_score: float, critical_score: float) -> Severity:
    """Return the severity of a score; below the opening score it is only information."""
    if score >= critical_score:
        return Severity.CRITICAL
    return Severity.WARNING if score >= open_score else Severity.INFO
