"""What a look at a group tells: the same to all channels, but for those that want no resolved alerts."""

from collections.abc import Mapping

from msgspec import Struct

from udfs.alerting.alert import Alert
from udfs.alerting.alert_order import in_order
from udfs.alerting.group import Group
from udfs.alerting.notice import common_to
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.settings import Channel


class Told:
    """What one look at a group shows to all channels alike, in order; made when the first channel needs it."""

    def __init__(
        self,
        group: Group,
        alerts: Mapping[str, Alert],
        shown: list[str],
        firing: frozenset[str],
        resolved: frozenset[str],
        now_ms: int,
        external_url: str,
    ) -> None:
        self.group = group
        self.firing = firing
        self.resolved = resolved
        self.now_ms = now_ms
        self._alerts = alerts
        self._external_url = external_url
        self._shown = shown
        self._contents: dict[bool, _Content] = {}

    def tenant_id(self) -> str:
        """Return whose all shown alerts are; empty if they are of several, or of nobody."""
        tenants = {self._alerts[identity].labels.get("tenant_id", "") for identity in self._shown}
        return tenants.pop() if len(tenants) == 1 else ""

    def notification(
        self, identifier: str, receiver: str, channel: Channel, reason: str, supersedes: str
    ) -> Notification:
        """Return the notice for one channel; those that send no resolved alerts are told of the firing ones."""
        content = self._contents.get(channel.send_resolved)
        if content is None:
            content = self._contents[channel.send_resolved] = self._content(channel.send_resolved)
        return Notification(
            notification_id=identifier,
            receiver=receiver,
            channel=channel.name,
            group_key=self.group.key,
            group_labels=self.group.labels,
            common_labels=content.labels,
            common_annotations=content.annotations,
            alerts=content.alerts,
            resolved=content.resolved,
            fingerprints=content.fingerprints,
            reason=NotificationReason(reason),
            created_at_ms=self.now_ms,
            external_url=self._external_url,
            deadline_at_ms=self.group.next_at_ms,
            supersedes=supersedes,
        )

    def _content(self, send_resolved: bool) -> "_Content":  # noqa: FBT001 - the channel's own word
        wanted = [each for each in self._shown if send_resolved or each in self.firing]
        identities = in_order(wanted, self._alerts)
        resolved = tuple([each not in self.firing for each in identities])
        alerts = tuple([self._alerts[each] for each in identities])
        return _Content(alerts, resolved, tuple(identities), *common_to(alerts))


class _Content(Struct, frozen=True):
    alerts: tuple[Alert, ...]
    resolved: tuple[bool, ...]
    fingerprints: tuple[str, ...]
    labels: dict[str, str]
    annotations: dict[str, str]
