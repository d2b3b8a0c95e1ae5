"""Advice: what a person can do about trouble of a kind, in one or two sentences."""

from collections.abc import Sequence
from typing import Final

from schemas.anomaly import Direction
from udfs.correlation.witness import FAMILY_BY_PREFIX

_QUIET: Final = (
    "Check whether the callers are down, were switched off or send their telemetry elsewhere; "
    "nothing at all from any application means that ingestion or the producers stopped."
)
_BY_FAMILY: Final = {
    "latency": (
        "Compare other applications on the same provider and model: if they are slow too, check the provider's status "
        "and move traffic to another model or region; if not, look for longer prompts and answers in the sample calls."
    ),
    "errors": (
        "Look at the errors of the sample calls: time-outs and 5xx point to the provider, 401 and 403 to keys, 429 to "
        "quota. Switch to the fallback model while it lasts."
    ),
    "load": (
        "Find the caller that moved the metric and limit its rate or budget if the load is not wanted; a loop in an "
        "agent and a retry storm look the same."
    ),
    "content": (
        "Read the verdicts of the sample calls. Block the caller if the attempt is real, and rotate whatever secret "
        "was in an answer."
    ),
}
_OTHER: Final = "Open the sample calls and compare them with calls of the hour before."


def family_of(metric: str) -> str:
    """Return the family that a metric belongs to, empty if it has none."""
    return next((family for prefix, family in FAMILY_BY_PREFIX if metric.startswith(prefix)), "")


def advice_on(metrics: Sequence[str], direction: Direction = Direction.NONE) -> str:
    """Return what to do about trouble with these metrics; the first that has a family decides."""
    family = next((found for found in map(family_of, metrics) if found), "")
    if family == "load" and direction is Direction.LOW:
        return _QUIET
    return _BY_FAMILY.get(family, _OTHER)
