"""A step of the dispatcher: the notices and decisions that come of one input, or of the time that passed."""

from msgspec import Struct

from udfs.alerting.decision import Decision
from udfs.alerting.notification import Notification


class Step(Struct, frozen=True):
    """What came of one input or of the time that passed."""

    notifications: tuple[Notification, ...] = ()
    decisions: tuple[Decision, ...] = ()


class Findings:
    """What a step has come to so far; whoever takes part in the step adds to it."""

    __slots__ = ("decisions", "notifications")

    def __init__(self) -> None:
        self.notifications: list[Notification] = []
        self.decisions: list[Decision] = []

    def step(self) -> Step:
        """Return all that was found."""
        return Step(tuple(self.notifications), tuple(self.decisions))
