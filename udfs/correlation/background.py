"""Background: how many branches of a scope are in trouble by chance, so that chance is not taken for an outage.

A tenant with a thousand applications sees unrelated warnings from several of them in any two minutes. What counts as
"many at once" therefore grows with the tenant's own past. Critical evidence is no chance, and is not counted here.
"""

from math import exp

from msgspec import Struct

MAX_BRANCHES = 64
DECAY = 0.99
"""Weight of the past per window; with windows of two minutes the memory is 200 minutes."""
PRIOR_WINDOWS = 20.0
"""Windows without trouble that every scope is credited with: without a past, three branches are many."""
CHANCE = 2e-5
"""How often chance alone may look like an outage: once in 50,000 windows, ten weeks of two minutes each."""


class Background(Struct, frozen=True, array_like=True):
    """Counts of distinct branches with weak evidence per window, older ones with falling weight; at most 650 bytes.

    Branches are digests. The window that is filling and the one before are kept apart, since an outage that is just
    beginning must not count as usual. Windows in which the scope has an incident are left out by not being told.
    """

    window: int
    branches: tuple[int, ...] = ()
    previous: int = 0
    """Branches in the window before."""
    total: float = 0.0
    """Weighted sum of the counts of older windows."""
    weight: float = 0.0
    """Weighted number of older windows."""


def advanced(background: Background, window: int) -> Background:
    """Return the background when a later window begins; empty windows between count as such."""
    elapsed = window - background.window
    if elapsed <= 0:
        return background
    fade = DECAY ** min(elapsed - 1, 100_000)
    total = (DECAY * background.total + background.previous) * fade
    weight = (DECAY * background.weight + 1.0) * fade + (1.0 - fade) / (1.0 - DECAY)
    if elapsed == 1:
        return Background(window, (), len(background.branches), total, weight)
    return Background(window, (), 0, total + len(background.branches) * fade / DECAY, weight)


def observed(background: Background | None, window: int, branch: int) -> Background:
    """Return the background after one branch was in trouble in a window (numbered); older windows are ignored."""
    now = Background(window) if background is None else advanced(background, window)
    if window < now.window or branch in now.branches or len(now.branches) == MAX_BRANCHES:
        return now
    return Background(now.window, (*now.branches, branch), now.previous, now.total, now.weight)


def usual_branches(background: Background | None, window: int) -> float:
    """Return the mean number of branches per window, the given window and the one before it left out."""
    if background is None:
        return 0.0
    now = advanced(background, window)
    return now.total / (PRIOR_WINDOWS + now.weight)


def branches_beyond_chance(least: int, mean: float) -> int:
    """Return the smallest number, at least `least`, that a Poisson count of a mean reaches with a chance below 2e-5."""
    below, term, count = 0.0, exp(-mean), 0
    while count < least or 1.0 - below > CHANCE:
        below += term
        count += 1
        term *= mean / count
    return count
