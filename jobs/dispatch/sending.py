"""Sending: from the channels of a configuration to one try of one notification."""

from typing import Final

import httpx
import msgspec

from jobs.dispatch.configuration import Configuration
from jobs.dispatch.deliveries import Answer
from schemas.time import from_at_ms
from udfs.alerting.alert import Alert, fingerprint
from udfs.alerting.notification import Notification
from udfs.alerting.receivers.webhook import WebhookConfig

_TIMEOUT_S: Final = 10.0
_FIRST_PAUSE_MS: Final = 100
_LONGEST_PAUSE_MS: Final = 60_000
_SERVER_ERROR: Final = 500


class Sending:
    """The channels of one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._receivers = configuration.receivers
        self._client = httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S)

    async def send(self, notification: Notification, tries: int) -> Answer:
        """Make one try."""
        receiver = self._receivers.get(notification.receiver)
        channels = receiver.channels if receiver is not None else ()
        config = next((each.config for each in channels if each.key == notification.channel), None)
        if not isinstance(config, WebhookConfig) or config.url is None:
            return Answer(taken=False, detail=f"{notification.channel} cannot be sent to yet")
        pause_ms = min(_FIRST_PAUSE_MS * 2**tries, _LONGEST_PAUSE_MS)
        headers = {"webhook-id": notification.notification_id, "content-type": "application/json"}
        try:
            answer = await self._client.post(config.url.reveal_text(), content=_body(notification), headers=headers)
        except httpx.HTTPError as error:
            return Answer(taken=False, detail=type(error).__name__, retry_in_ms=pause_ms)
        status = answer.status_code
        if answer.is_success:
            return Answer(taken=True, detail=str(status))
        return Answer(taken=False, detail=str(status), retry_in_ms=pause_ms if status >= _SERVER_ERROR else None)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def _body(notification: Notification) -> bytes:
    pairs = zip(notification.alerts, notification.resolved, strict=True)
    return msgspec.json.encode(
        {
            "version": "4",
            "receiver": notification.receiver,
            "status": "firing" if notification.firing else "resolved",
            "alerts": [_alert(alert, is_resolved=is_resolved) for alert, is_resolved in pairs],
            "groupLabels": notification.group_labels,
            "commonLabels": notification.common_labels,
            "commonAnnotations": notification.common_annotations,
            "externalURL": notification.external_url,
            "groupKey": notification.group_key,
            "truncatedAlerts": notification.truncated_alerts,
            "notification_reason": notification.reason,
        }
    )


def _alert(alert: Alert, *, is_resolved: bool) -> dict[str, object]:
    return {
        "status": "resolved" if is_resolved else "firing",
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": from_at_ms(alert.starts_at_ms),
        "endsAt": from_at_ms(alert.ends_at_ms) if is_resolved and alert.ends_at_ms else "0001-01-01T00:00:00Z",
        "generatorURL": alert.generator_url,
        "fingerprint": fingerprint(alert.labels),
    }
