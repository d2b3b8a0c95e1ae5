"""What templates see of a notification: Alertmanager's data, with its names and methods."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from msgspec import Struct

from udfs.alerting.alert import fingerprints
from udfs.alerting.notification import Notification
from udfs.templates.go_time import GoTime, time_of

ALERT_NAME: Final = "alertname"
_META: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")


class Pair(Struct, frozen=True):
    """A label or annotation."""

    Name: str
    Value: str


class Strings(list[str]):
    """A list of texts."""

    def Join(self, separator: str) -> str:  # noqa: N802 - the name in templates
        """Return the texts joined."""
        return separator.join(self)


class Pairs(list[Pair]):
    """Labels or annotations in order."""

    def Names(self) -> Strings:  # noqa: N802 - the name in templates
        """Return the names."""
        return Strings(pair.Name for pair in self)

    def Values(self) -> Strings:  # noqa: N802 - the name in templates
        """Return the values."""
        return Strings(pair.Value for pair in self)

    def String(self) -> str:  # noqa: N802 - the name in templates
        """Return `name=value` of each."""
        return ", ".join(f"{pair.Name}={pair.Value}" for pair in self)


class KV(dict[str, str]):
    """A set of labels or annotations."""

    def SortedPairs(self) -> Pairs:  # noqa: N802 - the name in templates
        """Return the pairs by name, `alertname` first."""
        return Pairs(Pair(name, self[name]) for name in sorted(self, key=lambda name: (name != ALERT_NAME, name)))

    def Remove(self, names: list[str]) -> Self:  # noqa: N802 - the name in templates
        """Return the set without some names."""
        return type(self)({name: value for name, value in self.items() if name not in names})

    def Names(self) -> Strings:  # noqa: N802 - the name in templates
        """Return the names in order."""
        return self.SortedPairs().Names()

    def Values(self) -> Strings:  # noqa: N802 - the name in templates
        """Return the values in order of their names."""
        return self.SortedPairs().Values()

    def String(self) -> str:  # noqa: N802 - the name in templates
        """Return `name=value` of each."""
        return self.SortedPairs().String()


def _json_name(name: str) -> str:
    """Return the name that a field of a template has in upstream's JSON."""
    return "notification_reason" if name == "NotificationReason" else name[0].lower() + name[1:]


class AlertData(Struct, frozen=True, kw_only=True, rename=_json_name):
    """One alert; the names are those of templates, the fields in upstream's order."""

    Status: str
    Labels: KV
    Annotations: KV
    StartsAt: GoTime
    EndsAt: GoTime
    GeneratorURL: str
    Fingerprint: str


class Alerts(list[AlertData]):
    """The alerts of a notification."""

    def Firing(self) -> "Alerts":  # noqa: N802 - the name in templates
        """Return those that fire."""
        return Alerts(each for each in self if each.Status == "firing")

    def Resolved(self) -> "Alerts":  # noqa: N802 - the name in templates
        """Return those that have ended."""
        return Alerts(each for each in self if each.Status == "resolved")


class Data(Struct, frozen=True, kw_only=True, rename=_json_name):
    """A notification."""

    Receiver: str
    Status: str
    Alerts: Alerts
    NotificationReason: str
    GroupLabels: KV
    CommonLabels: KV
    CommonAnnotations: KV
    RouteLabels: KV
    ExternalURL: str


METHODS: Final[dict[type, Mapping[str, Callable[..., Any]]]] = {
    KV: {
        "SortedPairs": KV.SortedPairs,
        "Remove": KV.Remove,
        "Names": KV.Names,
        "Values": KV.Values,
        "String": KV.String,
    },
    Pairs: {"Names": Pairs.Names, "Values": Pairs.Values, "String": Pairs.String},
    Strings: {"Join": Strings.Join},
    Alerts: {"Firing": Alerts.Firing, "Resolved": Alerts.Resolved},
}


def data_of(notification: Notification, label_set: Callable[[dict[str, str]], KV] = KV) -> Data:
    """Return what the templates of a channel see of a notification; `label_set` makes what they see of its labels."""
    identities = notification.fingerprints or fingerprints([alert.labels for alert in notification.alerts])
    return Data(
        Receiver=_META.sub(r"\\\1", notification.receiver),
        Status="firing" if notification.firing else "resolved",
        Alerts=Alerts(
            AlertData(
                Status="resolved" if resolved else "firing",
                Labels=label_set(alert.labels),
                Annotations=label_set(alert.annotations),
                StartsAt=time_of(alert.starts_at_ms),
                EndsAt=time_of(alert.ends_at_ms if resolved else None),
                GeneratorURL=alert.generator_url,
                Fingerprint=identity,
            )
            for alert, resolved, identity in zip(notification.alerts, notification.resolved, identities, strict=True)
        ),
        NotificationReason=notification.reason.value,
        GroupLabels=KV(notification.group_labels),
        CommonLabels=KV(notification.common_labels),
        CommonAnnotations=KV(notification.common_annotations),
        RouteLabels=KV(),
        ExternalURL=notification.external_url,
    )
