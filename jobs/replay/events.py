"""Replayed traffic as telemetry events in the order of time."""

from collections.abc import Iterator
from heapq import merge
from operator import itemgetter

import numpy as np

from jobs.replay.arrivals import MISSING
from jobs.replay.calls import calls_of, runaway_calls_of
from jobs.replay.drawing import ERROR_TYPES, TIMEOUT_CODE, Calls, Replayed
from jobs.replay.faults import FaultKind, FaultPlan, check_plan
from jobs.replay.world import Application, World
from schemas.telemetry import Data, EventType, Metadata, Source, Status, TelemetryEvent
from schemas.time import from_at_ms


def span_of(
    world: World, *, seed: int, start_at_ms: int, duration_ms: int, rate_per_s: float | None = None
) -> Replayed:
    """Return what fixes the calls; `rate_per_s` is the mean over all applications, None the world's own."""
    factor = 1.0 if rate_per_s is None else rate_per_s / world.rate_per_s
    return Replayed(seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms, rate_factor=factor)


def generate(
    world: World,
    plan: FaultPlan,
    *,
    seed: int,
    start_at_ms: int,
    duration_ms: int,
    rate_per_s: float | None = None,
) -> Iterator[TelemetryEvent]:
    """Yield the events that end in [start, start + duration), in the order of time, faults planted.

    The same arguments give the same events; a longer duration only adds events at the end; a plan leaves every event
    that it does not touch as it was. Memory does not grow with the duration. Raises FaultError for a plan that does
    not fit the world.
    """
    span = span_of(world, seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms, rate_per_s=rate_per_s)
    return (event for _, event in timed_events(world, plan, span))


def timed_events(world: World, plan: FaultPlan, span: Replayed) -> Iterator[tuple[int, TelemetryEvent]]:
    """Yield what `generate` yields, each event with its time in ms since the epoch."""
    check_plan(plan, world)
    streams = []
    for position in range(len(world.applications)):
        streams.append(_rendered(world, position, calls_of(world, position, span, plan.faults)))
        for number, fault in enumerate(plan.faults):
            if fault.kind is FaultKind.RUNAWAY_USER and fault.scope.has_application(world.applications[position]):
                further = runaway_calls_of(world, position, span, plan.faults, number)
                streams.append(_rendered(world, position, further))
    return merge(*streams, key=itemgetter(0))


def _rendered(world: World, position: int, blocks: Iterator[Calls]) -> Iterator[tuple[int, TelemetryEvent]]:
    application = world.applications[position]
    source = Source(
        service=application.application_id, host=f"{application.application_id}-{position % 7}", version="1.4.2"
    )
    known: dict[int, Metadata] = {}
    for calls in blocks:
        columns = (
            calls.at_ms,
            calls.model,
            calls.user,
            calls.prompt_tokens,
            calls.completion_tokens,
            calls.cached_tokens,
            np.round(calls.ttft_ms, 3),
            np.round(calls.latency_ms, 3),
            np.round(calls.cost_usd, 9),
            calls.error,
            calls.cut,
            calls.identity,
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for at_ms, model_at, user, prompt, completion, cached, ttft_ms, latency_ms, cost, error, cut, words in rows:
            model = world.models[model_at]
            if user not in known:
                known[user] = _metadata(application, position, user)
            if error == MISSING:
                data = Data(
                    provider=model.provider,
                    operation="chat",
                    model=model.name,
                    status=Status.SUCCESS,
                    latency_ms=latency_ms,
                    ttft_ms=ttft_ms,
                    stream=True,
                    prompt_tokens=prompt,
                    completion_tokens=completion,
                    total_tokens=prompt + completion,
                    cached_tokens=None if cached == MISSING else cached,
                    cost=cost,
                    finish_reason="length" if cut else "stop",
                )
            else:
                data = Data(
                    provider=model.provider,
                    operation="chat",
                    model=model.name,
                    status=Status.TIMEOUT if error == TIMEOUT_CODE else Status.ERROR,
                    error_type=ERROR_TYPES[error],
                    latency_ms=latency_ms,
                    stream=True,
                )
            yield (
                at_ms,
                TelemetryEvent(
                    event_id=event_id(words[0], words[1]),
                    timestamp=from_at_ms(at_ms),
                    source=source,
                    event_type=EventType.RESPONSE,
                    application_id=application.application_id,
                    data=data,
                    tenant_id=application.tenant_id,
                    trace_id=f"{words[2]:016x}{words[3]:016x}",
                    span_id=f"{words[4]:016x}",
                    metadata=known[user],
                ),
            )


def event_id(high: int, low: int) -> str:
    """Return a UUID of version 8 (RFC 9562: the bits are the maker's own)."""
    upper, lower = f"{high:016x}", f"{low:016x}"
    return f"{upper[:8]}-{upper[8:12]}-8{upper[13:]}-a{lower[1:4]}-{lower[4:]}"


_REGIONS = ("eu-central-1", "eu-west-1", "us-east-1")


def _metadata(application: Application, position: int, user: int) -> Metadata:
    return Metadata(
        user_id=application.user_id(user),
        environment="production",
        tags={"region": _REGIONS[position % len(_REGIONS)]},
    )
