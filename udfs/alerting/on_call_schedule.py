"""On-call schedule as users write it: layers of rotations, and overrides for a time."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.alert import ActiveHours, AlertSchedule, Day
from udfs.alerting.active_hours import check_hours
from udfs.alerting.wall_clock import LocalTime, TimeZone, instant_of, wall_time, zone

Name = Annotated[str, Meta(min_length=1, max_length=128)]
EVERY_DAY: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Layer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rotation: people in the order of their turns, beginning again after the last; one at a time."""

    name: Name
    people: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    first_turn: LocalTime
    """When the first one's first turn begins, on the schedule's wall clock; before it the layer has nobody."""
    turn: Annotated[str, Meta(pattern=r"^(daily|weekly|[1-9][0-9]{0,2}[hd])$")] = "weekly"
    """How long a turn is: `daily`, `weekly`, or hours or days as `12h` or `14d`. It is measured on the wall clock, so
    that the hand-over stays at the same time of day when the clocks change."""
    hours: ActiveHours | None = None
    """Only at these hours of the day; outside them the layer has nobody."""
    days_of_week: tuple[Day, ...] = EVERY_DAY
    """Only on these days (of the start of the hours)."""


class Override(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Someone is on call instead of whoever it would be, `[starts, ends)` on the schedule's wall clock."""

    person: Name
    starts: LocalTime
    ends: LocalTime
    layer: Name | None = None
    """None is over all layers: who is on call of the schedule as a whole."""


class OnCallSchedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is on call: the last layer that has somebody at the time, unless an override says otherwise."""

    timezone: TimeZone = "UTC"
    layers: Annotated[tuple[Layer, ...], Meta(min_length=1, max_length=20)]
    overrides: Annotated[tuple[Override, ...], Meta(max_length=1000)] = ()
    """Of two that overlap the later one in the list holds."""


def restriction(schedule: OnCallSchedule, layer: Layer) -> AlertSchedule | None:
    """Return the hours to which a layer is restricted, None if it has somebody around the clock."""
    if layer.hours is None and set(layer.days_of_week) == set(EVERY_DAY):
        return None
    return AlertSchedule(timezone=schedule.timezone, active_hours=layer.hours, days_of_week=layer.days_of_week)


def people_of(schedule: OnCallSchedule) -> tuple[tuple[str, str], ...]:
    """Return every mention of a person as place in the schedule and name."""
    turns = (
        (f"layers[{number}].people[{place}]", name)
        for number, layer in enumerate(schedule.layers)
        for place, name in enumerate(layer.people)
    )
    overrides = ((f"overrides[{number}].person", each.person) for number, each in enumerate(schedule.overrides))
    return (*turns, *overrides)


def check_schedule(schedule: OnCallSchedule) -> None:
    """Raise ValueError, naming the place and what to write instead, unless the schedule says who is on call."""
    try:
        where = zone(schedule.timezone)
    except ValueError as error:
        raise ValueError(f"timezone: {error}") from None
    names = [layer.name for layer in schedule.layers]
    for number, layer in enumerate(schedule.layers):
        place = f"layers[{number}]"
        if layer.name in names[:number]:
            raise ValueError(f"{place}.name: there is a layer {layer.name} already")
        _check_time(f"{place}.first_turn", layer.first_turn)
        hours = restriction(schedule, layer)
        if hours is not None:
            try:
                check_hours(hours)
            except ValueError as error:
                raise ValueError(f"{place}.{str(error).replace('active_hours', 'hours')}") from None
    for number, override in enumerate(schedule.overrides):
        place = f"overrides[{number}]"
        _check_time(f"{place}.starts", override.starts)
        _check_time(f"{place}.ends", override.ends)
        if instant_of(wall_time(override.ends), where) <= instant_of(wall_time(override.starts), where):
            raise ValueError(f"{place}.ends: {override.ends} is not after its start {override.starts}")
        if override.layer is not None and override.layer not in names:
            raise ValueError(f"{place}.layer: there is no layer {override.layer}; there are {', '.join(names)}")


def _check_time(place: str, text: str) -> None:
    try:
        wall_time(text)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
