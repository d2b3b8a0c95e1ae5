"""`log_configs` and `command_configs`, of our own: for tests, for a start without accounts, for scripts."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from udfs.alerting.receivers.duration import DurationMs


class LogConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line in the log of dispatch per notification."""

    send_resolved: bool = True
    level: Literal["info", "warning", "error"] = "info"


class CommandConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that gets the notification as Alertmanager's JSON on its standard input; exit code 0 is success.

    Exit code 75 (EX_TEMPFAIL of sysexits.h) asks for another try, every other one is final. No shell is involved.
    """

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    send_resolved: bool = True
    timeout: DurationMs = DurationMs(10_000)
