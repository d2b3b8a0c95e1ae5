"""Escalation chain as users write it: what is done, one step after another, while nobody takes an alert on."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

from msgspec import Meta, Struct

from schemas.alert import AlertDuration, AlertSchedule
from udfs.alerting.active_hours import check_hours
from udfs.alerting.on_call_schedule import Name, OnCallSchedule
from udfs.alerting.wall_clock import duration_ms

REPEATS_MAX = 5
_DAY_MS = 86_400_000
_REPEAT_APART_MS = 60_000
"""A chain that begins again waits for at least this long in between."""

People = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]


class Wait(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="wait"):
    """Time for those who were told, 1 s to 24 h."""

    duration: AlertDuration


class TellReceiver(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="receiver"):
    """Tell a receiver: a team's channel, a webhook."""

    receiver: Name


class TellPeople(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="people"):
    """Tell people, all of them."""

    people: People
    important: bool = False
    """Tell them by the receivers that they have for what is important."""


class TellOnCall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="on_call"):
    """Tell who is on call of a schedule, or of one of its layers; if nobody is, the next step follows at once."""

    schedule: Name
    layer: Name | None = None
    important: bool = False


class TellNext(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="round_robin"):
    """Tell one person, the next in the list each time the step is reached, by whichever group of alerts."""

    people: People
    important: bool = False


class OnlyDuring(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="only_during"):
    """Go on in these hours; outside them wait until they begin."""

    hours: AlertSchedule


class OnlyIf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="only_if"):
    """Go on when at least so many alerts of the group fire that began within the last `within`; wait until then."""

    alerts: Annotated[int, Meta(ge=1, le=10_000)]
    within: AlertDuration


class Repeat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="repeat"):
    """Begin again with the first step, at most `times` times; then go on with what follows."""

    times: Annotated[int, Meta(ge=1, le=REPEATS_MAX)]


class Resolve(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="resolve"):
    """End the alerts of the group, as if their sender had; what still fires comes back when it is sent again."""


Step = Wait | TellReceiver | TellPeople | TellOnCall | TellNext | OnlyDuring | OnlyIf | Repeat | Resolve
Telling = TellReceiver | TellPeople | TellOnCall | TellNext


class Chain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Steps from the first notice of a group until it is acknowledged or resolved."""

    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=50)]
    acknowledge_timeout: AlertDuration | None = None
    """How long an acknowledgement stops the chain, if it does not say so itself; None is until the alerts resolve."""


class Person(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach somebody: by receivers, others if need be for what is important."""

    receivers: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=10)]
    important: tuple[Name, ...] = ()
    """Empty is the same as `receivers`."""

    def reached_by(self, *, important: bool) -> tuple[str, ...]:
        """Return the receivers to tell."""
        return self.important if important and self.important else self.receivers


def check_chain(
    chain: Chain, receivers: Collection[str], people: Collection[str], schedules: Mapping[str, OnCallSchedule]
) -> None:
    """Raise ValueError, naming the step and what to write instead, unless the chain can be gone through."""
    if not any(isinstance(step, Telling) for step in chain.steps):
        raise ValueError("steps: the chain tells nobody")
    if chain.acknowledge_timeout is not None:
        _length("acknowledge_timeout", chain.acknowledge_timeout)
    waited_ms = 0
    for number, step in enumerate(chain.steps):
        place = f"steps[{number}]"
        for field, kind, known, name in _names(step, receivers, people, schedules):
            if name not in known:
                listed = ", ".join(sorted(known)) or "none at all"
                raise ValueError(f"{place}.{field}: there is no {kind} {name}; there are {listed}")
        _check_step(place, step)
        if isinstance(step, Wait):
            waited_ms += duration_ms(step.duration)
        if isinstance(step, Repeat):
            _check_repeat(chain, number, waited_ms)
        if isinstance(step, Resolve) and number != len(chain.steps) - 1:
            raise ValueError(f"{place}: nothing follows resolve; put it last")


def _check_step(place: str, step: Step) -> None:
    match step:
        case Wait() if not 0 < _length(f"{place}.duration", step.duration) <= _DAY_MS:
            raise ValueError(f"{place}.duration: {step.duration} is not between 1s and 24h")
        case OnlyIf() if _length(f"{place}.within", step.within) == 0:
            raise ValueError(f"{place}.within: 0 is no time; write how far to look back, as 10m")
        case OnlyDuring():
            try:
                check_hours(step.hours)
            except ValueError as error:
                raise ValueError(f"{place}.hours.{error}") from None
        case _:
            pass


def _check_repeat(chain: Chain, number: int, waited_ms: int) -> None:
    if any(isinstance(step, Repeat) for step in chain.steps[:number]):
        raise ValueError(f"steps[{number}]: there is a repeat already; one is enough, with `times` up to {REPEATS_MAX}")
    if waited_ms < _REPEAT_APART_MS:
        raise ValueError(f"steps[{number}]: without waits of 1m in all before it, the repeats would come all at once")


def _names(
    step: Step, receivers: Collection[str], people: Collection[str], schedules: Mapping[str, OnCallSchedule]
) -> Iterator[tuple[str, str, Collection[str], str]]:
    """Yield the names a step uses: field, what it names, those there are, and the name."""
    match step:
        case TellReceiver():
            yield "receiver", "receiver", receivers, step.receiver
        case TellOnCall():
            yield "schedule", "schedule", schedules, step.schedule
            if step.layer is not None:
                layers = tuple(layer.name for layer in schedules[step.schedule].layers)
                yield "layer", "layer", layers, step.layer
        case TellPeople() | TellNext():
            for place, name in enumerate(step.people):
                yield f"people[{place}]", "person", people, name
        case _:
            pass


def _length(place: str, text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
