"""Maintenance windows: open at the right hours, once or by a recurrence rule, on any wall clock."""

import re
from datetime import timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from schemas.time import to_at_ms
from udfs.alerting.maintenance import MaintenanceWindow, check_window, ends_at_ms, in_maintenance, next_start_at_ms
from udfs.alerting.wall_clock import instant_of, wall_time, zone

DAY_MS = 86_400_000
SUNDAYS = MaintenanceWindow(
    name="sundays",
    timezone="Europe/Berlin",
    starts="2026-01-04T02:00",
    repeats="FREQ=WEEKLY;BYDAY=SU",
    duration="2h",
)


def test_a_single_window_is_open_from_its_start_to_before_its_end() -> None:
    window = MaintenanceWindow(
        name="move", timezone="Europe/Berlin", starts="2026-06-01T22:00", ends="2026-06-02T04:00"
    )
    check_window(window)
    assert not in_maintenance(window, to_at_ms("2026-06-01T19:59:59.999Z"))
    assert ends_at_ms(window, to_at_ms("2026-06-01T20:00:00Z")) == to_at_ms("2026-06-02T02:00:00Z")
    assert not in_maintenance(window, to_at_ms("2026-06-02T02:00:00Z"))
    assert next_start_at_ms(window, to_at_ms("2026-05-01T00:00:00Z")) == to_at_ms("2026-06-01T20:00:00Z")
    assert next_start_at_ms(window, to_at_ms("2026-06-01T20:00:00Z")) is None


def test_a_repeated_window_keeps_its_local_time_when_the_clocks_change() -> None:
    check_window(SUNDAYS)
    assert in_maintenance(SUNDAYS, to_at_ms("2026-03-22T01:00:00Z"))
    assert next_start_at_ms(SUNDAYS, to_at_ms("2026-03-29T12:00:00Z")) == to_at_ms("2026-04-05T00:00:00Z")
    # 2026-03-29 02:00 is skipped: the window begins as the clocks jump.
    assert ends_at_ms(SUNDAYS, to_at_ms("2026-03-29T01:00:00Z")) == to_at_ms("2026-03-29T03:00:00Z")


def test_a_window_longer_than_its_interval_stays_open_to_the_last_end() -> None:
    window = MaintenanceWindow(name="long", starts="2026-01-01T00:00", repeats="FREQ=DAILY;COUNT=3", duration="30h")
    check_window(window)
    assert ends_at_ms(window, to_at_ms("2026-01-02T03:00:00Z")) == to_at_ms("2026-01-03T06:00:00Z")
    assert not in_maintenance(window, to_at_ms("2026-01-04T06:00:00Z"))


@given(
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=MONTHLY;BYDAY=-1SU", "FREQ=HOURLY;INTERVAL=5"]),
    st.sampled_from(["45m", "2h", "26h"]),
    st.integers(0, 365 * 24 * 60),
)
def test_the_windows_are_those_of_the_whole_list(where: str, repeats: str, duration: str, minute: int) -> None:
    window = MaintenanceWindow(name="w", timezone=where, starts="2026-01-01T02:30", repeats=repeats, duration=duration)
    instant = to_at_ms("2026-01-01T00:00:00Z") + minute * 60_000
    length = int(duration[:-1]) * (60_000 if duration.endswith("m") else 3_600_000)
    begin = wall_time(window.starts)
    rule = rrulestr(repeats, dtstart=begin)
    starts = [instant_of(each, zone(where)) for each in rule.between(begin, begin + timedelta(days=410), inc=True)]
    assert ends_at_ms(window, instant) == max((s + length for s in starts if s <= instant < s + length), default=None)
    assert next_start_at_ms(window, instant) == min(s for s in starts if s > instant)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timezone": "Nowhere"}, "timezone: Nowhere is no time zone"),
        ({"starts": "2026-02-31T00:00"}, "starts: 2026-02-31T00:00 is no date"),
        ({"repeats": None, "duration": None}, "ends: a window that is not repeated has a start and an end"),
        ({"repeats": None, "duration": None, "ends": "2026-01-04T02:00"}, "ends: 2026-01-04T02:00 is not after"),
        ({"duration": None}, "duration: a repeated window has one"),
        ({"duration": "0s"}, "duration: a repeated window has one"),
        ({"duration": "8d"}, "duration: 8d is longer than 7d"),
        ({"repeats": "FREQ=MINUTELY"}, "repeats: one RRULE with a frequency of HOURLY or rarer"),
        ({"repeats": "EVERY SUNDAY"}, "repeats: EVERY SUNDAY is no recurrence rule"),
        ({"repeats": "FREQ=DAILY;UNTIL=20260201T000000Z"}, "repeats: FREQ=DAILY;UNTIL=20260201T000000Z is no"),
    ],
)
def test_a_window_that_does_not_say_when_it_is_is_refused(changes: dict[str, str | None], problem: str) -> None:
    fields = {name: getattr(SUNDAYS, name) for name in SUNDAYS.__struct_fields__} | changes
    with pytest.raises(ValueError, match=re.escape(problem)):
        check_window(MaintenanceWindow(**fields))
