"""Simulation: a timeline played through the dispatcher in virtual time, every notice delivered at once."""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jobs.dispatch.timeline_file import Happening, Timeline, elapsed_ms, elapsed_text
from schemas.time import to_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.group import Group
from udfs.alerting.label_text import labels_text
from udfs.alerting.matcher_text import matchers_of
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.records import Record
from udfs.alerting.settings import DispatchSettings
from udfs.alerting.silence import Silence
from udfs.alerting.step import Step

_QUIET: Final = frozenset(
    {DecisionReason.NOTIFIED, DecisionReason.SENT, DecisionReason.ESCALATED, DecisionReason.DUPLICATE}
)
"""Decisions that the notices say already, or that nobody waits for."""


class Line(Struct, frozen=True, kw_only=True):
    """One line of what came of it: somebody was told, or a decision why not."""

    at_ms: int
    told: bool
    text: str
    """With the time since the start: `+5m30s ada-phone: escalated (step 3: ada), {alertname="slow"}`."""


class Simulation:
    """A dispatcher and what it said so far."""

    def __init__(self, settings: DispatchSettings, timeline: Timeline, *, restarts: bool = False) -> None:
        """Begin at the start of a timeline; with `restarts` in a new process after every happening."""
        self.lines: list[Line] = []
        self._settings = settings
        self._timeline = timeline
        self._restarts = restarts
        self._start_ms = self._now_ms = to_at_ms(timeline.start)
        self._end_ms = self._start_ms + elapsed_ms(timeline.until)
        self._dispatcher = Dispatcher(settings, self._now_ms)
        self._kept: dict[tuple[str, str], bytes | None] = {}
        self._silences: list[str] = []

    def run(self) -> list[Line]:
        """Play the timeline to its end and return the lines. Raises ValueError naming what cannot happen."""
        happenings = sorted(enumerate(self._timeline.timeline), key=lambda pair: (elapsed_ms(pair[1].at), pair[0]))
        for number, each in happenings:
            self._pass_time(self._start_ms + elapsed_ms(each.at))
            try:
                self._happen(each)
            except (ValueError, KeyError) as error:
                raise ValueError(f"timeline[{number}] at {each.at}: {error.args[0]}") from None
            if self._restarts:
                self._restart()
        self._pass_time(self._end_ms)
        return self.lines

    def _pass_time(self, until_ms: int) -> None:
        while (at_ms := self._dispatcher.next_wake_at_ms()) is not None and at_ms <= until_ms:
            self._now_ms = max(self._now_ms, at_ms)
            self._take(self._dispatcher.advance(self._now_ms))
        self._now_ms = until_ms

    def _happen(self, each: Happening) -> None:
        now_ms = self._now_ms
        if each.fire is not None:
            alert = Alert(labels=each.fire, starts_at_ms=now_ms, updated_at_ms=now_ms, ends_at_ms=self._end_ms + 1)
            self._take(self._dispatcher.on_alerts([alert], now_ms))
        elif each.resolve is not None:
            firing = self._firing(each.resolve)
            ended = [replace(alert, updated_at_ms=now_ms, ends_at_ms=now_ms) for alert in firing]
            self._take(self._dispatcher.on_alerts(ended, now_ms))
        elif each.acknowledge is not None:
            until_ms = None if each.duration is None else now_ms + elapsed_ms(each.duration)
            for key in self._group_keys(each.acknowledge):
                self._take(self._dispatcher.acknowledge(key, each.by, "", now_ms, until_ms))
        elif each.escalate is not None:
            for key in self._group_keys(each.escalate):
                self._take(self._dispatcher.escalate(key, each.by, now_ms))
        elif each.silence is not None:
            self._silence(each.silence, elapsed_ms(each.duration or "0s"), each.by)
        elif each.unsilence:
            for silence_id in self._silences:
                self._dispatcher.expire_silence(silence_id, now_ms)
        else:
            self._restart()

    def _silence(self, texts: Iterable[str], length_ms: int, by: str) -> None:
        matchers = tuple(matcher for text in texts for matcher in matchers_of(text))
        silence = Silence(
            silence_id=f"silence-{len(self._silences) + 1}",
            matcher_sets=(matchers,),
            starts_at_ms=self._now_ms,
            ends_at_ms=self._now_ms + length_ms,
            updated_at_ms=self._now_ms,
            created_by=by,
        )
        self._silences.append(self._dispatcher.on_silence(silence, self._now_ms))

    def _firing(self, labels: dict[str, str]) -> list[Alert]:
        """Return the alerts that fire and have some labels; raises ValueError if there are none."""
        found = [
            alert
            for alert in self._dispatcher.alerts.values()
            if not alert.is_resolved(self._now_ms) and labels.items() <= alert.labels.items()
        ]
        if not found:
            raise ValueError(f"no alert with {labels_text(labels)} fires")
        return found

    def _group_keys(self, labels: dict[str, str]) -> list[str]:
        wanted = {id(alert) for alert in self._firing(labels)}
        alerts = self._dispatcher.alerts
        return sorted(
            {group.key for group in self._groups() if any(id(alerts[each]) in wanted for each in group.members)}
        )

    def _groups(self) -> Iterator[Group]:
        yield from self._dispatcher.groups

    def _take(self, step: Step) -> None:
        for decision in step.decisions:
            if decision.reason not in _QUIET:
                self._add(False, _decision_text(decision))
        people = _people(step.decisions)
        for notice in step.notifications:
            self._add(True, f"{notice.receiver}: {_notice_text(notice, people)}")
            self._dispatcher.on_sent(notice.notification_id, self._now_ms)

    def _add(self, told: bool, text: str) -> None:  # noqa: FBT001 - named where it is a field
        at = elapsed_text(self._now_ms - self._start_ms)
        self.lines.append(Line(at_ms=self._now_ms, told=told, text=f"+{at} {text}"))

    def _restart(self) -> None:
        self._kept |= {(kind, key): value for kind, key, value in self._dispatcher.take_changes()}
        records = [Record(kind, key, value) for (kind, key), value in self._kept.items()]
        self._dispatcher = Dispatcher(self._settings, self._now_ms, records)


def _people(decisions: Iterable[Decision]) -> dict[tuple[str, str], str]:
    """Return by which steps receivers are told of groups."""
    steps: dict[tuple[str, str], str] = {}
    for each in decisions:
        if each.reason is DecisionReason.ESCALATED:
            place = each.group_key, each.receiver
            steps[place] = f"{steps[place]}, {each.refers_to}" if place in steps else each.refers_to
    return steps


def _notice_text(notice: Notification, people: dict[tuple[str, str], str]) -> str:
    why = notice.reason.replace("_", " ")
    if notice.reason is NotificationReason.ESCALATED:
        why += f" ({people[notice.group_key, notice.receiver]})"
    return f"{why}, {labels_text(notice.group_labels)}"


def _decision_text(decision: Decision) -> str:
    why = decision.reason.replace("_", " ")
    about = f" ({decision.refers_to})" if decision.refers_to else ""
    return f"- {decision.receiver}: {why}{about}"
