"""The notice of notices held back: a throttled receiver is told how much it was not told."""

from udfs.alerting.alert import Alert
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.label_text import labels_text
from udfs.alerting.notice import notification_id
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.records import Pending
from udfs.alerting.step import Findings
from udfs.alerting.throttle import HeldBack, held_back_texts


def tell_held_back(state: DispatchState, receiver: str, held: HeldBack, now_ms: int, found: Findings) -> None:
    """Hand over the notice to each channel of a receiver."""
    summary, groups = held_back_texts(held)
    labels = {"alertname": "NoticesHeldBack", "receiver": receiver, "severity": "warning"}
    annotations = {"summary": summary, "description": groups}
    alert = Alert(
        labels=labels, annotations=annotations, starts_at_ms=held.since_ms, updated_at_ms=now_ms, ends_at_ms=None
    )
    key = f"held back:{labels_text(labels)}"
    for channel in state.settings.receivers.get(receiver, ()):
        place = key, receiver, channel.name
        identifier = notification_id(*place, (), (), held.since_ms)
        pending = Pending(identifier, *place, frozenset(), frozenset(), 0)
        before = state.notices.hand_over(pending, NotificationReason.HELD_BACK, now_ms, found.decisions)
        found.notifications.append(
            Notification(
                notification_id=identifier,
                receiver=receiver,
                channel=channel.name,
                group_key=key,
                group_labels=labels,
                common_labels=labels,
                common_annotations=annotations,
                alerts=(alert,),
                resolved=(False,),
                reason=NotificationReason.HELD_BACK,
                created_at_ms=now_ms,
                external_url=state.settings.external_url,
                supersedes=before,
            )
        )
