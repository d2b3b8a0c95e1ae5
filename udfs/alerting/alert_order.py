"""The order in which a notice names its alerts."""

from udfs.alerting.alert import Alert

_FIRST = ("job", "instance")


def in_order(alerts: list[Alert]) -> list[Alert]:
    """Return the alerts by job, instance, number of labels, then label by label.

    Source: Alertmanager, `types.AlertSlice.Less`, and prometheus/common, `model.LabelSet.Before`: at the first label
    that differs, the alert that lacks it comes first.
    """
    if len(alerts) < 2:  # noqa: PLR2004 - one is always in order
        return alerts
    names = sorted({name for alert in alerts for name in alert.labels}, reverse=True)
    rank = {name: number for number, name in enumerate(names)}

    def key(alert: Alert) -> tuple[object, ...]:
        labels = alert.labels
        job, instance = map(labels.get, _FIRST)
        items: list[object] = [job is None, job or "", instance is None, instance or "", len(labels)]
        for name in sorted(labels):
            items += (rank[name], labels[name])
        return tuple(items)

    return sorted(alerts, key=key)
