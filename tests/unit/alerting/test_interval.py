"""Time intervals by the clocks of their location."""

from datetime import datetime

import pytest

from udfs.alerting.interval import TimeInterval


def _holds(interval: TimeInterval, at: str) -> bool:
    return interval.holds(int(datetime.fromisoformat(at).timestamp() * 1_000))


@pytest.mark.parametrize(
    ("at", "holds"),
    [("08:59:59", False), ("09:00:00", True), ("16:59:59", True), ("17:00:00", False)],
)
def test_start_is_included_and_end_is_not(at: str, holds: bool) -> None:  # noqa: FBT001 - a column of the table
    assert _holds(TimeInterval(times=((540, 1020),)), f"2026-11-26T{at}Z") is holds


def test_day_ends_at_24() -> None:
    assert _holds(TimeInterval(times=((1320, 1440),)), "2026-11-26T23:59:59Z")


@pytest.mark.parametrize(
    ("days", "at", "holds"),
    [
        ((-1, -1), "2027-02-28", True),
        ((-1, -1), "2028-02-28", False),
        ((-1, -1), "2028-02-29", True),
        ((-3, -1), "2026-11-28", True),
        ((-3, -1), "2026-11-27", False),
        ((1, 31), "2027-02-28", True),
        ((31, 31), "2026-11-30", False),
        ((-31, -30), "2027-02-01", False),
        ((10, -10), "2027-02-19", True),
        ((10, -10), "2027-02-20", False),
    ],
)
def test_days_count_from_either_end_of_the_month(days: tuple[int, int], at: str, holds: bool) -> None:  # noqa: FBT001
    assert _holds(TimeInterval(days_of_month=(days,)), f"{at}T12:00:00Z") is holds


def test_last_day_of_a_month_in_which_clocks_change() -> None:
    last = TimeInterval(days_of_month=((-1, -1),), location="Europe/Berlin")
    assert _holds(last, "2027-03-31T12:00:00+02:00")
    assert not _holds(last, "2027-03-30T12:00:00+02:00")


def test_clocks_are_those_of_the_location() -> None:
    morning = TimeInterval(times=((480, 540),), location="Europe/Berlin")
    assert _holds(morning, "2027-01-15T07:30:00Z")
    assert _holds(morning, "2027-07-15T06:30:00Z")
    assert not _holds(morning, "2027-07-15T07:30:00Z")


def test_week_begins_on_sunday_and_fields_hold_together() -> None:
    sundays_of_may = TimeInterval(weekdays=((0, 0),), months=((5, 5),), years=((2027, 2028),))
    assert _holds(sundays_of_may, "2027-05-02T12:00:00Z")
    assert not _holds(sundays_of_may, "2027-05-03T12:00:00Z")
    assert not _holds(sundays_of_may, "2027-06-06T12:00:00Z")
    assert not _holds(sundays_of_may, "2029-05-06T12:00:00Z")


def test_empty_interval_holds_always_and_an_empty_field_never() -> None:
    assert _holds(TimeInterval(), "2026-11-26T12:00:00Z")
    assert not _holds(TimeInterval(weekdays=()), "2026-11-26T12:00:00Z")
