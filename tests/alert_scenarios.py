"""Scenarios of alert dispatch: timelines as data, told by our dispatcher in virtual time.

A file of `tests/scenarios/alerting` has a configuration, what happens at which second, and which notices each webhook
gets. `tests/integration/test_alertmanager.py` lets the real Alertmanager tell the same files in real time.
"""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from jobs.dispatch.configuration import parse
from udfs.alerting.alert import Alert
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.matcher_text import matchers_of
from udfs.alerting.notification import Notification
from udfs.alerting.settings import DispatchSettings
from udfs.alerting.silence import Silence

FOLDER = Path(__file__).parent / "scenarios" / "alerting"
BEGIN_MS = 1_800_000_000_000
"""Second 0 in virtual time."""


class PushedAlert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert as it is sent; it starts when it is pushed, unless it says otherwise."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts: float | None = None
    ends: float | None = None


class PutSilence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A silence under a name of the scenario's own."""

    name: str
    matchers: str
    starts: float
    ends: float


class Happening(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens at a second: one of the fields."""

    at: float
    push: tuple[PushedAlert, ...] = ()
    silence: PutSilence | None = None
    expire: str | None = None
    reload: dict[str, Any] | None = None
    """Sections of the configuration that take the place of the ones before."""


class ToldAlert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An alert in a notice; `ends` says that it is resolved, and when."""

    labels: dict[str, str]
    starts: float
    ends: float | None = None
    annotations: dict[str, str] = {}


class Told(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice to one webhook, at a second."""

    at: float
    group: str
    alerts: tuple[ToldAlert, ...]


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A story about alerts and its end."""

    about: str
    configuration: dict[str, Any]
    """As alertmanager.yml has it, receivers aside."""
    receivers: dict[str, tuple[dict[str, Any], ...]]
    """The webhooks of each receiver without their addresses."""
    timeline: tuple[Happening, ...]
    until: float
    expected: dict[str, tuple[Told, ...]] = {}
    """By receiver and position of the webhook: `team/0`."""
    differs: str = ""
    """Why Alertmanager may tell something else."""

    def settings_text(self, sections: dict[str, Any], address: str = "http://localhost:1") -> str:
        """Return an alertmanager.yml whose webhooks are at `address/RECEIVER/POSITION`."""
        receivers = [
            {
                "name": name,
                "webhook_configs": [
                    {"url": f"{address}/{name}/{position}", **webhook} for position, webhook in enumerate(webhooks)
                ],
            }
            for name, webhooks in self.receivers.items()
        ]
        # JSON is YAML, and quickly written.
        return msgspec.json.encode({**sections, "receivers": receivers}).decode()


def names() -> list[str]:
    """Return the names of all scenarios."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read(name: str) -> Scenario:
    """Return a scenario by its name."""
    return msgspec.yaml.decode((FOLDER / f"{name}.yaml").read_bytes(), type=Scenario)


def tell(scenario: Scenario, *, restart: bool = False) -> dict[str, list[Told]]:
    """Return what our dispatcher tells, each notice being delivered at once; restarted after every step if wanted."""
    sections = scenario.configuration
    told: dict[str, list[Told]] = {
        f"{name}/{position}": [] for name, webhooks in scenario.receivers.items() for position in range(len(webhooks))
    }
    settings = _settings(scenario, sections)
    dispatcher = Dispatcher(settings, BEGIN_MS)
    for happening in (*scenario.timeline, Happening(at=scenario.until)):
        now_ms = _at_ms(happening.at)
        while (wake_at_ms := dispatcher.next_wake_at_ms()) is not None and wake_at_ms <= now_ms:
            for notice in dispatcher.advance(wake_at_ms).notifications:
                place = f"{notice.receiver}/{notice.channel.removeprefix('webhook[').removesuffix(']')}"
                told[place].append(_told(notice))
                dispatcher.on_sent(notice.notification_id, wake_at_ms)
            if restart:
                dispatcher = Dispatcher(settings, wake_at_ms, dispatcher.records())
        if happening.push:
            dispatcher.on_alerts([_alert(each, happening.at) for each in happening.push], now_ms)
        if happening.silence is not None:
            dispatcher.on_silence(_silence(happening.silence), now_ms)
        if happening.expire is not None:
            dispatcher.expire_silence(happening.expire, now_ms)
        if happening.reload is not None:
            sections = sections | happening.reload
            settings = _settings(scenario, sections)
            dispatcher.on_settings(settings, now_ms)
        if restart:
            dispatcher = Dispatcher(settings, now_ms, dispatcher.records())
    return told


def _settings(scenario: Scenario, sections: dict[str, Any]) -> DispatchSettings:
    return parse(scenario.settings_text(sections), "scenario", Path()).settings


def _at_ms(second: float) -> int:
    return BEGIN_MS + round(second * 1_000)


def _second(at_ms: int) -> float:
    return round((at_ms - BEGIN_MS) / 1_000, 3)


def _alert(pushed: PushedAlert, at: float) -> Alert:
    return Alert(
        labels=pushed.labels,
        annotations=pushed.annotations,
        starts_at_ms=_at_ms(at if pushed.starts is None else pushed.starts),
        ends_at_ms=None if pushed.ends is None else _at_ms(pushed.ends),
        updated_at_ms=_at_ms(at),
    )


def _silence(put: PutSilence) -> Silence:
    return Silence(
        silence_id=put.name,
        matcher_sets=(matchers_of(put.matchers),),
        starts_at_ms=_at_ms(put.starts),
        ends_at_ms=_at_ms(put.ends),
        updated_at_ms=0,
    )


def _told(notice: Notification) -> Told:
    alerts = tuple(
        ToldAlert(
            labels=alert.labels,
            annotations=alert.annotations,
            starts=_second(alert.starts_at_ms),
            ends=_second(alert.ends_at_ms or 0) if is_over else None,
        )
        for alert, is_over in zip(notice.alerts, notice.resolved, strict=True)
    )
    return Told(at=_second(notice.created_at_ms), group=notice.group_key, alerts=alerts)
