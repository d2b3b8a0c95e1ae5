"""Alerts, groups and receivers as they are shown."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from starlette.requests import Request

from jobs.dispatch.api.answers import flag
from jobs.dispatch.api.filters import filter_matchers, finds, receiver_test
from jobs.dispatch.core import Core
from schemas.time import from_at_ms
from udfs.alerting.alert import Alert

_SHOWN_AT_ONCE: Final = 1_000
"""Alerts between two moments in which others get their turn."""


class Wanted:
    """Which alerts a request asks for. Raises RefusedError for a filter that is none."""

    def __init__(self, request: Request) -> None:
        self._active = flag(request, "active", default=True)
        self._silenced = flag(request, "silenced", default=True)
        self._inhibited = flag(request, "inhibited", default=True)
        self._matchers = filter_matchers(request)
        self.receiver: Callable[[str], bool] = receiver_test(request)

    def shown(self, core: Core, identity: str, now_ms: int) -> dict[str, Any] | None:
        """Return an alert as it is shown, None if it is not asked for or has ended."""
        alert = core.dispatcher.alerts.get(identity)
        if alert is None or alert.is_resolved(now_ms) or not finds(self._matchers, alert.labels):
            return None
        receivers = sorted({group.route.receiver for group in core.dispatcher.groups_of(identity)})
        if not any(map(self.receiver, receivers)):
            return None
        silences = sorted(core.dispatcher.silences.silencing(identity, alert.labels, now_ms))
        inhibitor = core.dispatcher.inhibitor(alert.labels, now_ms)
        hidden = (
            (silences and not self._silenced)
            or (inhibitor and not self._inhibited)
            or (not silences and not inhibitor and not self._active)
        )
        return None if hidden else _shown(identity, alert, receivers, silences, inhibitor)


async def shown_alerts(core: Core, wanted: Wanted, now_ms: int) -> list[dict[str, Any]]:
    """Return the alerts that are asked for, in the order of their fingerprints."""
    return await _all_shown(core, wanted, sorted(core.dispatcher.alerts), now_ms)


async def shown_groups(core: Core, wanted: Wanted, now_ms: int) -> list[dict[str, Any]]:
    """Return the groups that have alerts that are asked for."""
    shown = []
    for group in list(core.dispatcher.groups):
        if group.members and wanted.receiver(group.route.receiver):
            alerts = await _all_shown(core, wanted, sorted(group.members), now_ms)
            if alerts:
                shown.append({"alerts": alerts, "labels": group.labels, "receiver": {"name": group.route.receiver}})
    return sorted(shown, key=lambda group: (sorted(group["labels"].items()), group["receiver"]["name"]))


async def _all_shown(core: Core, wanted: Wanted, identities: Iterable[str], now_ms: int) -> list[dict[str, Any]]:
    shown = []
    for number, identity in enumerate(identities, 1):
        if (alert := wanted.shown(core, identity, now_ms)) is not None:
            shown.append(alert)
        if number % _SHOWN_AT_ONCE == 0:
            await asyncio.sleep(0)
    return shown


def _shown(identity: str, alert: Alert, receivers: list[str], silences: list[str], inhibitor: str) -> dict[str, Any]:
    shown = {
        "annotations": alert.annotations,
        "endsAt": from_at_ms(alert.ends_at_ms or 0),
        "fingerprint": identity,
        "receivers": [{"name": name} for name in receivers],
        "startsAt": from_at_ms(alert.starts_at_ms),
        "status": {
            "inhibitedBy": [inhibitor] if inhibitor else [],
            "silencedBy": silences,
            "state": "suppressed" if silences or inhibitor else "active",
        },
        "updatedAt": from_at_ms(alert.updated_at_ms),
        "labels": alert.labels,
    }
    if alert.generator_url:
        shown["generatorURL"] = alert.generator_url
    return shown
