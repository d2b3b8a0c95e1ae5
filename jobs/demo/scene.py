"""Scene: what is replayed in a demonstration, and the truth about it."""

from collections.abc import Iterator

from msgspec import Struct

from jobs.replay.events import span_of, timed_events
from jobs.replay.faults import FaultPlan
from jobs.replay.plan import default_plan
from jobs.replay.stream import Record, keyed, with_heartbeats
from jobs.replay.truth import PlantedFault, ground_truth
from jobs.replay.world import World, default_world
from schemas.codec import encode

APPLICATIONS = 12
"""Enough for a fault on each and a provider with several of them. The busiest: traces of the others have more
pauses and changes of their own, which nobody planted and every detector should tell of."""
TAIL_MS = 10_000
"""Heartbeats after the last call, so that its windows close; after a minute, everything would rightly be called silent.
The plan's last fault ends well before the traffic does."""


class Scene(Struct, frozen=True, eq=False, kw_only=True):
    """A stretch of traffic with every kind of fault in it. The same seed, start and duration give the same events."""

    world: World
    plan: FaultPlan
    planted: tuple[PlantedFault, ...]
    seed: int
    start_at_ms: int
    duration_ms: int

    @property
    def end_at_ms(self) -> int:
        """Event time of the last heartbeat."""
        return self.start_at_ms + self.duration_ms + TAIL_MS

    def records(self, partitions: int) -> Iterator[Record]:
        """Yield the records of the telemetry topic, in the order of event time."""
        span = span_of(self.world, seed=self.seed, start_at_ms=self.start_at_ms, duration_ms=self.duration_ms)
        return with_heartbeats(
            keyed(timed_events(self.world, self.plan, span), encode),
            partitions=partitions,
            start_at_ms=self.start_at_ms,
            end_at_ms=self.end_at_ms,
            bound_ms=0,
            encode=encode,
        )


def default_scene(*, seed: int, start_at_ms: int, duration_ms: int) -> Scene:
    """Return the default fault plan on the busiest applications; raises SentinelError below ten minutes."""
    world = default_world(applications=APPLICATIONS)
    plan = default_plan(world, seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms)
    return Scene(
        world=world,
        plan=plan,
        planted=ground_truth(world, plan, seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms),
        seed=seed,
        start_at_ms=start_at_ms,
        duration_ms=duration_ms,
    )
