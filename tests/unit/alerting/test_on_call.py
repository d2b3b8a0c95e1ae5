"""Who is on call: hand-overs on wall clocks, restrictions, overrides, and the days on which clocks change."""

# ruff: noqa: DTZ001 - a wall time has no zone

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alert import ActiveHours
from schemas.time import to_at_ms
from udfs.alerting.on_call import OVERRIDE, on_call, shifts
from udfs.alerting.on_call_schedule import Layer, OnCallSchedule, Override, check_schedule
from udfs.alerting.wall_clock import instant_of, wall_of, zone

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns")
zones = st.sampled_from(ZONES)
in_2026 = st.integers(to_at_ms("2026-01-01T00:00:00Z"), to_at_ms("2026-12-31T00:00:00Z"))
"""Instants, the days on which the clocks change included."""
layers = st.builds(
    Layer,
    name=st.just("primary"),
    people=st.lists(st.sampled_from(["ada", "bob", "cleo", "dan"]), min_size=1, max_size=5).map(tuple),
    first_turn=st.datetimes(datetime(2025, 6, 1), datetime(2025, 12, 30)).map(lambda at: at.isoformat()[:16]),
    turn=st.sampled_from(["daily", "weekly", "1h", "8h", "12h", "36h", "3d", "14d"]),
)
hours = st.builds(
    ActiveHours,
    start=st.sampled_from(["00:00", "02:30", "09:00", "22:00"]),
    end=st.sampled_from(["02:45", "06:00", "17:00", "24:00"]),
)


def weekly(**changes: object) -> Layer:
    fields: dict[str, object] = {"name": "primary", "people": ("ada", "bob"), "first_turn": "2026-01-05T09:00"}
    return Layer(**fields | changes)  # type: ignore[arg-type]


def at(text: str) -> int:
    return to_at_ms(text)


def test_turns_change_at_the_hand_over_and_begin_again_after_the_last() -> None:
    schedule = OnCallSchedule(timezone="Europe/Berlin", layers=(weekly(),))
    assert on_call(schedule, at("2026-01-05T07:59:59Z")) is None
    assert on_call(schedule, at("2026-01-05T08:00:00Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-01-12T07:59:59.999Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-01-12T08:00:00Z")) == ("bob", "primary")
    assert on_call(schedule, at("2026-01-19T08:00:00Z")) == ("ada", "primary")


def test_the_hand_over_stays_at_its_local_time_when_the_clocks_change() -> None:
    schedule = OnCallSchedule(timezone="Europe/Berlin", layers=(weekly(turn="daily"),))
    for month in (3, 10):
        start = at(f"2026-{month:02}-20T12:00:00Z")
        found = [shift.start_at_ms for shift in shifts(schedule, start, start + 14 * DAY_MS)][1:]
        assert len(found) == 14
        assert {wall_of(each, zone("Europe/Berlin")).strftime("%H:%M") for each in found} == {"09:00"}
        lengths = {(later - earlier) // HOUR_MS for earlier, later in pairwise(found)}
        assert lengths == {24, 23 if month == 3 else 25}


def test_a_hand_over_at_a_time_that_is_skipped_is_when_the_clocks_jump() -> None:
    schedule = OnCallSchedule(timezone="Europe/Berlin", layers=(weekly(first_turn="2026-03-28T02:30", turn="daily"),))
    assert on_call(schedule, at("2026-03-29T00:59:59.999Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-03-29T01:00:00Z")) == ("bob", "primary")


def test_a_hand_over_at_a_time_that_comes_twice_is_at_the_first() -> None:
    schedule = OnCallSchedule(timezone="Europe/Berlin", layers=(weekly(first_turn="2026-10-24T02:30", turn="daily"),))
    assert on_call(schedule, at("2026-10-25T00:29:59Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-10-25T00:30:00Z")) == ("bob", "primary")
    assert on_call(schedule, at("2026-10-25T01:15:00Z")) == ("bob", "primary")


def test_a_layer_restricted_to_hours_has_nobody_outside_them_and_the_layer_below_takes_over() -> None:
    night = weekly(name="night", people=("cleo",), hours=ActiveHours(start="22:00", end="06:00"))
    schedule = OnCallSchedule(layers=(weekly(), night))
    assert on_call(schedule, at("2026-01-06T21:59:00Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-01-06T22:00:00Z")) == ("cleo", "night")
    assert on_call(schedule, at("2026-01-07T05:59:00Z")) == ("cleo", "night")
    assert on_call(schedule, at("2026-01-07T06:00:00Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-01-07T12:00:00Z"), "night") is None
    assert on_call(schedule, at("2026-01-06T23:00:00Z"), "primary") == ("ada", "primary")


def test_overnight_hours_belong_to_the_day_they_begin_on() -> None:
    layer = weekly(hours=ActiveHours(start="22:00", end="06:00"), days_of_week=("fri",))
    schedule = OnCallSchedule(layers=(layer,))
    assert on_call(schedule, at("2026-01-09T23:00:00Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-01-10T05:00:00Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-01-10T23:00:00Z")) is None


def test_an_override_holds_for_its_time_and_for_its_layer() -> None:
    over_all = Override(person="eve", starts="2026-01-06T10:00", ends="2026-01-06T12:00")
    in_layer = Override(person="finn", starts="2026-01-07T10:00", ends="2026-01-07T12:00", layer="primary")
    schedule = OnCallSchedule(layers=(weekly(),), overrides=(over_all, in_layer))
    assert on_call(schedule, at("2026-01-06T10:00:00Z")) == ("eve", OVERRIDE)
    assert on_call(schedule, at("2026-01-06T10:00:00Z"), "primary") == ("ada", "primary")
    assert on_call(schedule, at("2026-01-06T12:00:00Z")) == ("ada", "primary")
    assert on_call(schedule, at("2026-01-07T11:00:00Z")) == ("finn", "primary")
    assert on_call(schedule, at("2026-01-07T11:00:00Z"), "primary") == ("finn", "primary")


@given(zones, layers, in_2026)
def test_exactly_one_person_of_a_layer_is_on_call_at_any_instant(where: str, layer: Layer, instant: int) -> None:
    schedule = OnCallSchedule(timezone=where, layers=(layer,))
    found = on_call(schedule, instant)
    assert found is not None
    # Who it is, said by the list of all hand-overs up to then instead of by arithmetic on the wall clock.
    length = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}.get(layer.turn) or (
        timedelta(hours=int(layer.turn[:-1])) if layer.turn.endswith("h") else timedelta(days=int(layer.turn[:-1]))
    )
    first = datetime.fromisoformat(layer.first_turn)
    near = (datetime(2026, 1, 1) + timedelta(milliseconds=instant - in_2026_start()) - first) // length
    taken = [
        turn
        for turn in range(max(near - 60, 0), near + 60)
        if instant_of(first + turn * length, ZoneInfo(where)) <= instant
    ]
    assert found == (layer.people[taken[-1] % len(layer.people)], "primary")


def in_2026_start() -> int:
    return to_at_ms("2026-01-01T00:00:00Z")


@given(zones, layers, st.none() | hours, in_2026, st.integers(0, 40 * 24), st.integers(0, 10**9))
def test_shifts_have_no_gap_and_say_what_on_call_says(
    where: str, layer: Layer, restricted: ActiveHours | None, start: int, length: int, somewhere: int
) -> None:
    upper = weekly(name="upper", people=("zoe", "yan"), hours=restricted, days_of_week=("mon", "wed", "sun"))
    override = Override(person="eve", starts="2026-03-28T12:00", ends="2026-03-29T12:00")
    schedule = OnCallSchedule(timezone=where, layers=(layer, upper), overrides=(override,))
    end = start + length * HOUR_MS // 2
    found = list(shifts(schedule, start, end))
    assert [each.end_at_ms for each in found[:-1]] == [each.start_at_ms for each in found[1:]]
    assert all((one.person, one.layer) != (two.person, two.layer) for one, two in pairwise(found))
    if found:
        assert (found[0].start_at_ms, found[-1].end_at_ms) == (start, end)
        instant = start + somewhere % (end - start)
        shift = next(each for each in found if each.start_at_ms <= instant < each.end_at_ms)
        assert on_call(schedule, instant) == (None if shift.person is None else (shift.person, shift.layer))
    else:
        assert start == end


@given(zones, st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.timedeltas(timedelta(), timedelta(days=3)))
def test_instants_never_go_back_as_the_wall_time_goes_on(where: str, wall: datetime, later: timedelta) -> None:
    wall = wall.replace(microsecond=0)
    later -= timedelta(microseconds=later.microseconds)
    assert instant_of(wall, zone(where)) <= instant_of(wall + later, zone(where))


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (OnCallSchedule(timezone="Mars/Base", layers=(weekly(),)), "timezone: Mars/Base is no time zone"),
        (OnCallSchedule(layers=(weekly(), weekly())), r"layers\[1\].name: there is a layer primary already"),
        (
            OnCallSchedule(layers=(weekly(first_turn="2026-02-30T09:00"),)),
            r"layers\[0\].first_turn: 2026-02-30T09:00 is no",
        ),
        (OnCallSchedule(layers=(weekly(days_of_week=()),)), r"layers\[0\].days_of_week: an empty list"),
        (
            OnCallSchedule(
                layers=(weekly(),),
                overrides=(Override(person="a", starts="2026-01-02T00:00", ends="2026-01-01T00:00"),),
            ),
            r"overrides\[0\].ends: 2026-01-01T00:00 is not after",
        ),
        (
            OnCallSchedule(
                layers=(weekly(),),
                overrides=(Override(person="a", starts="2026-01-01T00:00", ends="2026-01-02T00:00", layer="x"),),
            ),
            r"overrides\[0\].layer: there is no layer x; there are primary",
        ),
    ],
)
def test_a_schedule_that_cannot_say_who_is_on_call_is_refused_with_its_place(
    schedule: OnCallSchedule, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        check_schedule(schedule)
