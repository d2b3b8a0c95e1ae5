"""A notice about a group: what its alerts have in common, and its identity."""

from collections.abc import Iterable
from hashlib import sha256

from udfs.alerting.alert import Alert


def in_common(label_sets: Iterable[dict[str, str]]) -> dict[str, str]:
    """Return the pairs that stand in every one of the sets."""
    sets = iter(label_sets)
    common = dict(next(sets, {}))
    for labels in sets:
        if not common:
            break
        if common.items() <= labels.items():
            continue
        for name in [name for name, value in common.items() if labels.get(name) != value]:
            del common[name]
    return common


def common_to(alerts: tuple[Alert, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels and the annotations that all alerts share."""
    return in_common(alert.labels for alert in alerts), in_common(alert.annotations for alert in alerts)


def notification_id(
    group_key: str, receiver: str, channel: str, firing: Iterable[str], resolved: Iterable[str], last_sent_at_ms: int
) -> str:
    """Return 32 hexadecimal digits: the same for the same news to the same channel, on every try.

    When the channel was last told is part of it, so that a repeat is another notice; a try after a failure is not.
    """
    parts = (group_key, receiver, channel, " ".join(sorted(firing)), " ".join(sorted(resolved)), str(last_sent_at_ms))
    return sha256("\xff".join(parts).encode()).hexdigest()[:32]
