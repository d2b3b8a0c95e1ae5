"""The calls of one application over the time of a replay, and those a runaway user makes on top."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from jobs.replay.arrivals import F64, I64, Arrivals
from jobs.replay.drawing import Calls, Drawing, Replayed
from jobs.replay.faults import Fault, FaultKind, user_rank
from jobs.replay.world import World

_DAY_MS = 86_400_000.0
_LOOKAHEAD_CALLS = 65_536
"""Calls drawn ahead over all applications: what bounds the memory."""


def block_size(world: World) -> int:
    """Return how many calls of an application are drawn at a time."""
    return int(np.clip(_LOOKAHEAD_CALLS // len(world.applications), 8, 256))


def arrivals_of(world: World, position: int, replayed: Replayed) -> Iterator[tuple[I64, Arrivals]]:
    """Yield an application's arrivals in blocks, each with its event times; the last block goes on beyond the end."""
    application = world.applications[position]
    generator = np.random.default_rng([replayed.seed, position, 0])
    rate = application.rate_per_s * replayed.rate_factor
    for block in application.workload.arrivals(generator, rate, block_size(world)):
        offset_ms = _swung(block.offset_ms, replayed.start_at_ms, world.daily_swing)
        yield replayed.start_at_ms + offset_ms.astype(np.int64), block
        if offset_ms[-1] >= replayed.duration_ms:
            return


def calls_of(world: World, position: int, replayed: Replayed, faults: Sequence[Fault] = ()) -> Iterator[Calls]:
    """Yield the calls of an application in blocks, in the order of time, faults planted.

    `faults` may hold faults of other applications. Calls of a runaway user beyond the usual come from
    `runaway_calls_of`.
    """
    application = world.applications[position]
    drawing = Drawing(world, position, replayed, faults, stream=0)
    generator = np.random.default_rng([replayed.seed, position, 1])
    cumulated = np.cumsum(world.user_shares(application))
    for at_ms, block in arrivals_of(world, position, replayed):
        user = np.searchsorted(cumulated, generator.random(len(at_ms)) * cumulated[-1], side="right")
        calls = drawing.drawn(generator, at_ms, block, user)
        yield calls.where(calls.at_ms < replayed.start_at_ms + replayed.duration_ms)


def runaway_calls_of(
    world: World, position: int, replayed: Replayed, faults: Sequence[Fault], runaway: int
) -> Iterator[Calls]:
    """Yield the further calls of the runaway user of `faults[runaway]`, evenly random over the time of the fault."""
    application, fault = world.applications[position], faults[runaway]
    rank = user_rank(application, fault.scope.user_id)
    if rank is None or not fault.scope.has_application(application):
        return
    others = [f for f in faults if f.kind is not FaultKind.ABSURD]
    drawing = Drawing(world, position, replayed, others, stream=1 + runaway)
    generator = np.random.default_rng([replayed.seed, position, 3, runaway])
    usual = application.rate_per_s * replayed.rate_factor * float(world.user_shares(application)[rank])
    further = usual * max(fault.size - 1.0, 0.0)
    if further == 0.0:
        return
    tokens = application.workload.arrivals(generator, further, block_size(world))
    end_ms = min(fault.until_ms, replayed.duration_ms)
    reached_ms = float(fault.after_ms)
    for block in tokens:
        offset_ms = reached_ms + np.cumsum(generator.exponential(1000.0 / further, len(block.offset_ms)))
        user = np.full(len(offset_ms), rank)
        calls = drawing.drawn(generator, replayed.start_at_ms + offset_ms.astype(np.int64), block, user)
        yield calls.where(offset_ms < end_ms)
        reached_ms = float(offset_ms[-1])
        if reached_ms >= end_ms:
            return


def _swung(offset_ms: F64, start_at_ms: int, swing: float) -> F64:
    """Return the times at which a rate of 1 + swing * sin(time of day) has let through as much as a rate of 1 has."""
    if swing == 0.0:
        return offset_ms
    of_day = np.linspace(0.0, 1.0, 1441)
    passed = of_day + swing / (2.0 * math.pi) * (1.0 - np.cos(2.0 * math.pi * of_day))
    start = start_at_ms % _DAY_MS / _DAY_MS
    days, rest = np.divmod(float(np.interp(start, of_day, passed)) + offset_ms / _DAY_MS, 1.0)
    swung: F64 = (days + np.interp(rest, passed, of_day) - start) * _DAY_MS
    return swung
