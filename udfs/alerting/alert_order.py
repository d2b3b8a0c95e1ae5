"""The order in which a notice names its alerts."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from operator import itemgetter

from udfs.alerting.alert import Alert

_FIRST = ("job", "instance")


def in_order(identities: Collection[str], alerts: Mapping[str, Alert]) -> list[str]:
    """Return the fingerprints of alerts by job, instance, number of labels, then label by label.

    Source: Alertmanager, `types.AlertSlice.Less`, and prometheus/common, `model.LabelSet.Before`: at the first label
    that differs, the alert that lacks it comes first.
    """
    if len(identities) < 2:  # noqa: PLR2004 - one is always in order
        return list(identities)
    label_sets = {identity: alerts[identity].labels for identity in identities}
    first = next(iter(label_sets.values()))
    if len({len(labels) for labels in label_sets.values()}) == 1:
        # The same labels, as most groups have: their values alone decide.
        values = itemgetter(*(name for name in _FIRST if name in first), *sorted(first))
        with suppress(KeyError):
            return sorted(label_sets, key=lambda identity: values(label_sets[identity]))
    names = sorted({name for labels in label_sets.values() for name in labels}, reverse=True)
    rank = {name: number for number, name in enumerate(names)}

    def key(identity: str) -> tuple[object, ...]:
        labels = label_sets[identity]
        job, instance = map(labels.get, _FIRST)
        items: list[object] = [job is None, job or "", instance is None, instance or "", len(labels)]
        for name in sorted(labels):
            items += (rank[name], labels[name])
        return tuple(items)

    return sorted(label_sets, key=key)
