"""Explanation: an anomaly in a sentence or two: what was seen, what was expected, how rare that is, who moved."""

from collections.abc import Sequence

from schemas.anomaly import Expected, Moved
from udfs.aggregates import UNITS
from udfs.calibration import decades_of
from udfs.store import Flag

_RATIO_LEAST = 1.5
"""A value so many times another is said to be a multiple of it, and a nearer one to be a difference."""
_COMMON_DECADES, _RAREST_DECADES = 1.0, 9.0


def explained(flag: Flag, expected: Expected, moved: Sequence[Moved]) -> str:
    """Return what an anomaly says of itself in words."""
    said = f"{_seen(flag, expected)}; {rarity_text(flag.score)}."
    if not moved:
        return said
    if flag.detector.on == "event":
        return f"{said} The call is {moved_text(moved)}."
    return f"{said} Most of it: {moved_text(moved)}."


def rarity_text(score: float) -> str:
    """Return how rare a calibrated score is when all is well, in words."""
    decades = decades_of(score)
    if decades < _COMMON_DECADES:
        return "by itself that is nothing rare"
    if decades > _RAREST_DECADES:
        return "when all is well, less than one observation in a billion is so unusual"
    return f"when all is well, about one observation in {float(f'{10**decades:.1e}'):,.0f} is so unusual"


def moved_text(moved: Sequence[Moved]) -> str:
    """Return who moved a metric, with shares, in words."""
    if [each.dimension for each in moved] == ["user"]:
        return f"of user {moved[0].value}"
    return ", ".join(f"{each.dimension} {each.value} ({each.share:.0%})" for each in moved)


def _seen(flag: Flag, expected: Expected) -> str:
    if flag.detector.form == "silence":
        return f"No call came where {number_text(flag.expected)} calls/s were expected"
    if not flag.metric:
        shares = sorted(flag.contributions.items(), key=lambda each: (-each[1], each[0]))
        strongest = ", ".join(f"{name} ({share:.0%})" for name, share in shares[:3] if share > 0.0)
        return f"Each metric may be usual, but not all of them together; most unusual: {strongest}"
    unit = UNITS[flag.metric]
    said = f"{flag.metric} was {quantity_text(flag.observed, unit)}"
    if expected.value is None:
        return f"{said}, and nothing definite was expected"
    said += f", {_compared(flag.observed, expected.value)}the expected {quantity_text(expected.value, unit)}"
    ends = [
        f"{word} {quantity_text(end, unit)}"
        for word, end in (("from", expected.low), ("up to", expected.high))
        if end is not None
    ]
    return f"{said} (ordinary: {' '.join(ends)})" if ends else said


def quantity_text(value: float, unit: str) -> str:
    """Return a value with its unit as people write it: shares as per cent, thousands set apart, three digits else."""
    if unit == "1":
        return f"{value:.3g}" if value > 1.0 else f"{100.0 * value:.3g} %"
    return f"{number_text(value)} {unit}"


def number_text(value: float) -> str:
    """Return a number with three significant digits at least, and no powers of ten where they can be helped."""
    return f"{value:,.0f}" if abs(value) >= 1_000.0 else f"{value:.3g}"  # noqa: PLR2004 thousands


def _compared(observed: float, expected: float) -> str:
    """Return how an observation compares, to be followed by what was expected."""
    if observed <= 0.0 or expected <= 0.0:
        return "not "
    ratio = observed / expected
    if ratio >= _RATIO_LEAST:
        return f"{number_text(ratio)} times "
    if ratio <= 1.0 / _RATIO_LEAST:
        return f"{ratio:.0%} of " if ratio >= 0.01 else "less than 1% of "  # noqa: PLR2004 a per cent
    return f"{abs(ratio - 1.0):.0%} {'above' if ratio > 1.0 else 'below'} "
