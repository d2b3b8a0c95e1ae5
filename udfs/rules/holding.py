"""Holding: for how long a condition has been true of an entity, and how far a sequence has come."""

from udfs.kernels import Floats, Integers, kernel

HOLDING_WIDTH = 7
RUN, SINCE, TOLD_AT, LAST_AT, STEP, COUNT, STARTED_AT = range(HOLDING_WIDTH)
"""True observations in a row and since when; when the rule last spoke and last looked; the step of the sequence that is
waited for, how often it was met so far, and when the sequence began."""


@kernel
def hold(
    states: Floats,
    rows: Integers,
    at_ms: Integers,
    truth: Floats,
    length_ms: int,
    for_ms: int,
    consecutive: int,
    refractory_ms: int,
    told: Integers,
) -> int:
    """Write the positions at which a condition has held for long enough to `told`; return how many there are.

    `truth` is 1.0 where it holds. Windows are `length_ms` long and begin that much before `at_ms`; one that is missing
    is a gap, which ends what held. Events have length 0 and no gaps.
    """
    count = 0
    for i in range(rows.shape[0]):
        row, at = rows[i], at_ms[i]
        gap = length_ms > 0 and at - states[row, LAST_AT] > length_ms
        states[row, LAST_AT] = max(states[row, LAST_AT], float(at))
        if truth[i] == 0.0 or gap:
            states[row, RUN] = 0.0
        if truth[i] == 0.0:
            continue
        if states[row, RUN] == 0.0:
            states[row, SINCE] = at - length_ms
        states[row, RUN] += 1.0
        if states[row, RUN] < consecutive or at - states[row, SINCE] < for_ms:
            continue
        if states[row, TOLD_AT] == 0.0 or at - states[row, TOLD_AT] >= refractory_ms:
            states[row, TOLD_AT] = at
            told[count] = i
            count += 1
    return count


@kernel
def follow(
    states: Floats,
    rows: Integers,
    at_ms: Integers,
    truth: Floats,
    counts: Integers,
    within_ms: int,
    refractory_ms: int,
    told: Integers,
) -> int:
    """Write the positions at which a sequence was completed in time to `told`; return how many there are.

    `truth` is float64[n, steps]. Each entity has one sequence under way; it begins anew when its time is over, and a
    single first step that comes again is the one that counts.
    """
    count, steps = 0, counts.shape[0]
    for i in range(rows.shape[0]):
        row, at = rows[i], at_ms[i]
        states[row, LAST_AT] = max(states[row, LAST_AT], float(at))
        under_way = states[row, STEP] > 0.0 or states[row, COUNT] > 0.0
        if under_way and at - states[row, STARTED_AT] > within_ms:
            states[row, STEP] = 0.0
            states[row, COUNT] = 0.0
            under_way = False
        step = int(states[row, STEP])
        if truth[i, step] == 0.0:
            if step == 1 and states[row, COUNT] == 0.0 and counts[0] == 1 and truth[i, 0] == 1.0:
                states[row, STARTED_AT] = at
            continue
        if not under_way:
            states[row, STARTED_AT] = at
        states[row, COUNT] += 1.0
        if states[row, COUNT] < counts[step]:
            continue
        states[row, STEP] = step + 1
        states[row, COUNT] = 0.0
        if step + 1 < steps:
            continue
        states[row, STEP] = 0.0
        if states[row, TOLD_AT] == 0.0 or at - states[row, TOLD_AT] >= refractory_ms:
            states[row, TOLD_AT] = at
            told[count] = i
            count += 1
    return count
