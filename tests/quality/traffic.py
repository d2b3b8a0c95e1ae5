"""LLM traffic: what the default configuration says of replayed calls, when all is well and with planted faults.

Replay and detection run in one process, through everything the job does.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from msgspec.structs import asdict, replace

from jobs.backtest.control import in_force
from jobs.backtest.telemetry import Backtest, Correlations, backtest
from jobs.demo.scene import APPLICATIONS, Scene, default_scene
from jobs.replay.faults import Fault, FaultKind, FaultPlan, Scope
from jobs.replay.plan import default_plan
from jobs.replay.stream import Record
from jobs.replay.truth import ground_truth
from jobs.replay.world import World, default_world
from jobs.score.score import Score, score
from jobs.training.fit import fit
from jobs.training.windows import join
from schemas.anomaly import Anomaly
from schemas.incident import Incident
from schemas.model import PublishedModel
from schemas.time import to_at_ms
from udfs.settings import DetectionSettings

START_AT_MS = to_at_ms("2026-09-21T00:00:00Z")
"""A Monday."""
PLANTED_SEEDS = tuple(range(101, 106))
CLEAN_SEEDS = (201, 202)
"""Both are other seeds than those that thresholds were chosen with (1 to 20)."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
PLANTED_MS, CLEAN_MS = 3 * HOUR_MS, 12 * HOUR_MS
SMALL_SEEDS, TRAINED_SEED, DAILY_SEEDS = (111, 112, 113), 211, (121, 122)
SMALL_MS, DAILY_MS = 6 * HOUR_MS, 72 * HOUR_MS
SMALL = (
    (FaultKind.LATENCY, 1.4),
    (FaultKind.TTFT, 1.6),
    (FaultKind.TOKENS, 0.5),
    (FaultKind.TOKENS, 1.6),
    (FaultKind.COST, 1.4),
    (FaultKind.COST, 0.5),
    (FaultKind.LATENCY, 0.5),
)
"""What changes, and times how much: less than thresholds for single metrics are made for, or downwards."""
DAILY_APPLICATIONS, DAILY_RATE_PER_S, DAILY_SWING, DAILY_REMAINS = 8, 8.0, 0.6, 0.25
YOUNG_MS = 25 * MINUTE_MS
"""How long before a fault an application makes its first call, where young ones are looked at."""
LEAST_CALLS_PER_MIN = 20.0
"""Below, a fault of some minutes cannot be told from chance."""
_LATE_MS = 1_000
"""How far time is behind the newest anomaly when incidents are made again."""


class Run(NamedTuple):
    """One replay that was judged."""

    seed: int
    result: Backtest
    score: Score


def clean_scene(seed: int, duration_ms: int = CLEAN_MS) -> Scene:
    """Return traffic without a fault."""
    return _planted(default_world(applications=APPLICATIONS), [], seed, duration_ms)


def steady_scene(seed: int) -> Scene:
    """Return the scene of `sentinel demo`: every kind of fault once, on the applications with the steadiest traffic."""
    return default_scene(seed=seed, start_at_ms=START_AT_MS, duration_ms=PLANTED_MS)


def scattered_scene(seed: int) -> Scene:
    """Return the same faults on applications drawn at random among those with calls enough."""
    world = default_world(applications=APPLICATIONS)
    usual = default_plan(world, seed=seed, start_at_ms=START_AT_MS, duration_ms=PLANTED_MS)
    places = _busy_enough(world)
    order = np.random.default_rng([seed, 7]).permutation(len(places)).tolist()
    faults = []
    for number, fault in enumerate(usual.faults):
        drawn = asdict(_main_model(world, places[order[number % len(order)]]))
        scope = replace(fault.scope, **{name: drawn[name] or was for name, was in asdict(fault.scope).items() if was})
        faults.append(replace(fault, scope=scope))
    return _planted(world, faults, seed, PLANTED_MS)


def small_scene(seed: int) -> Scene:
    """Return small changes of a quarter of an hour, on applications drawn at random among those with calls enough."""
    world = default_world(applications=APPLICATIONS)
    places = _busy_enough(world)
    order = np.random.default_rng([seed, 9]).permutation(len(places)).tolist()
    faults = []
    for number, (kind, magnitude) in enumerate(SMALL):
        scope = _main_model(world, places[order[number % len(order)]])
        faults.append(Fault(kind=kind, magnitude=magnitude, after=f"{150 + 30 * number}m", lasts="15m", scope=scope))
    return _planted(world, faults, seed, SMALL_MS)


class YoungScene(Scene, frozen=True, eq=False, kw_only=True):
    """A scene in which every application that a fault hits makes its first call `YOUNG_MS` before."""

    def records(self, partitions: int) -> Iterator[Record]:
        """Yield the records of the scene but the calls that were not made yet."""
        first_ms = {
            f'"application_id":"{each.scope.application_id}"'.encode(): each.start_at_ms - YOUNG_MS
            for each in self.planted
        }
        for record in super().records(partitions):
            if not any(record.due_ms < at_ms and name in record.value for name, at_ms in first_ms.items()):
                yield record


def young_scene(seed: int) -> Scene:
    """Return the small changes, each on an application of its own that is new."""
    small = small_scene(seed)
    return YoungScene(**{name: getattr(small, name) for name in Scene.__struct_fields__})


def daily_scene(seed: int) -> Scene:
    """Return three days with a daily course, on the third of which a part of each application's calls fails to come."""
    world = default_world(applications=DAILY_APPLICATIONS, rate_per_s=DAILY_RATE_PER_S, daily_swing=DAILY_SWING)
    faults = [
        Fault(
            kind=FaultKind.SILENCE,
            magnitude=DAILY_REMAINS,
            after=f"{49 + 2 * number}h",
            lasts="30m",
            scope=Scope(tenant_id=each.tenant_id, application_id=each.application_id),
        )
        for number, each in enumerate(world.applications)
    ]
    return _planted(world, faults, seed, DAILY_MS)


def _main_model(world: World, place: int) -> Scope:
    """Return the scope of what an application calls most."""
    application = world.applications[place]
    model = world.models[application.models[0]]
    return Scope(
        tenant_id=application.tenant_id,
        application_id=application.application_id,
        provider=model.provider,
        model=model.name,
    )


def _planted(world: World, faults: list[Fault], seed: int, duration_ms: int) -> Scene:
    plan = FaultPlan(faults=tuple(faults))
    planted = ground_truth(world, plan, seed=seed, start_at_ms=START_AT_MS, duration_ms=duration_ms)
    return Scene(world=world, plan=plan, planted=planted, seed=seed, start_at_ms=START_AT_MS, duration_ms=duration_ms)


def trained_models() -> list[PublishedModel]:
    """Return a model for each detector of the default configuration that needs one, of hours without a fault."""
    settings, healthy = DetectionSettings(), clean_scene(TRAINED_SEED, SMALL_MS)
    summaries = backtest((record.value for record in healthy.records(partitions=1)), settings).summaries
    return [
        fit(join(summaries, each), each, seed=1, now_ms=START_AT_MS) for each in settings.detectors if each.needs_model
    ]


def _busy_enough(world: World) -> list[int]:
    return [
        place
        for place, each in enumerate(world.applications)
        if 60.0 * each.rate_per_s * each.shares[0] >= LEAST_CALLS_PER_MIN
    ]


def run_of(scene: Scene, settings: DetectionSettings | None = None, models: Iterable[PublishedModel] = ()) -> Run:
    """Return what is said of a scene."""
    settings = settings or DetectionSettings(summaries="none")
    control = in_force((), list(models), settings.detectors)
    result = backtest((record.value for record in scene.records(partitions=1)), settings, control)
    return Run(scene.seed, result, score(scene.planted, result.anomalies, result.incidents))


def incidents_of(anomalies: Iterable[Anomaly], settings: DetectionSettings) -> list[Incident]:
    """Return the newest states of the incidents that anomalies, in the order in which they were told, make."""
    correlations, newest_ms = Correlations(settings), 0
    for each in anomalies:
        correlations.send([each])
        newest_ms = max(newest_ms, to_at_ms(each.timestamp))
        correlations.pass_time(newest_ms - _LATE_MS)
    return list(correlations.incidents.values())
