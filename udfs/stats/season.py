"""Season: what a series usually adds to its level at this hour of the day and of the week.

State: when learning began, an effect for each hour of a day, then one for each hour of a week beyond that of the day,
both in UTC; between the middles of two hours they are straight lines. An effect is the mean of what was seen at its
hour and of one visit that never was, at which there was none: hours that were seen once or twice, or that differ for no
reason, are drawn towards the whole, those of the week towards those of the day, and these towards the level (shrinkage;
Efron and Morris 1975, Data analysis using Stein's estimator). In the long run the newest visit has a constant weight.
"""

import math

from udfs.kernels import Floats, kernel

DAY_HOURS, WEEK_HOURS = 24, 168
SEASON_WIDTH = 1 + DAY_HOURS + WEEK_HOURS
SINCE_MS, DAY, WEEK = 0, 1, 1 + DAY_HOURS

HOUR_MS = 3_600_000.0
_DAY_MS, _WEEK_MS = DAY_HOURS * HOUR_MS, WEEK_HOURS * HOUR_MS
_MONDAY_HOURS = 96
"""Epoch time begins on a Thursday; four days later it is Monday, the first hour of the week."""

_NEWEST_DAY, _NEWEST_WEEK = 0.1, 0.2
"""The weight of the newest visit in the long run."""


@kernel
def _hours(at_ms: int) -> tuple[int, float]:
    """Return the hour of the week whose middle was passed last, and how far it is to the next one, in [0, 1)."""
    place = at_ms / HOUR_MS - 0.5
    whole = math.floor(place)
    return (int(whole) - _MONDAY_HOURS) % WEEK_HOURS, place - whole


@kernel
def season_at(state: Floats, at: int, at_ms: int) -> float:
    """Return what the season adds to the level at a time; `at` is where its state begins."""
    hour, share = _hours(at_ms)
    following = (hour + 1) % WEEK_HOURS
    now = state[at + DAY + hour % DAY_HOURS] + state[at + WEEK + hour]
    then = state[at + DAY + following % DAY_HOURS] + state[at + WEEK + following]
    return (1.0 - share) * now + share * then


@kernel
def learn_season(state: Floats, at: int, difference: float, at_ms: int, step_ms: float) -> None:
    """Move the effects of a time by its difference from level and season; `step_ms` is the time between two."""
    if state[at + SINCE_MS] == 0.0:
        state[at + SINCE_MS] = float(at_ms)
    age_ms = at_ms - state[at + SINCE_MS]
    daily = max(1.0 / (2.0 + math.floor(age_ms / _DAY_MS)), _NEWEST_DAY)
    weekly = max(1.0 / (2.0 + math.floor(age_ms / _WEEK_MS)), _NEWEST_WEEK)
    hour, share = _hours(at_ms)
    visit = min(step_ms / HOUR_MS, 1.0)
    for place, part in ((hour, 1.0 - share), ((hour + 1) % WEEK_HOURS, share)):
        state[at + DAY + place % DAY_HOURS] += daily * visit * part * difference
        state[at + WEEK + place] += weekly * visit * part * difference
