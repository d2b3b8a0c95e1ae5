"""`pagerduty_configs`: PagerDuty's Events API, version 2, and version 1 for old integrations."""

from typing import Any, Final, Literal

from msgspec import Struct

from udfs.alerting.receivers.duration import DurationMs
from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.text import check_url, default

DETAILS: Final[dict[str, object]] = {
    "firing": "{{ .Alerts.Firing | toJson }}",
    "resolved": "{{ .Alerts.Resolved | toJson }}",
    "num_firing": "{{ .Alerts.Firing | len }}",
    "num_resolved": "{{ .Alerts.Resolved | len }}",
}


class PagerdutyLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link beside the incident."""

    href: str = ""
    text: str = ""


class PagerdutyImage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture beside the incident; PagerDuty wants `src` by https."""

    src: str = ""
    alt: str = ""
    href: str = ""


class PagerdutyConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    """One PagerDuty alert per group: triggered, acknowledged and resolved by its deduplication key."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    service_key: Secret | None = None
    service_key_file: str = ""
    routing_key: Secret | None = None
    routing_key_file: str = ""
    url: str = ""
    client: str = default("pagerduty.default.client")
    client_url: str = default("pagerduty.default.clientURL")
    description: str = default("pagerduty.default.description")
    details: dict[str, Any] = {}
    images: tuple[PagerdutyImage, ...] = ()
    links: tuple[PagerdutyLink, ...] = ()
    source: str = ""
    severity: str = ""
    """Empty is the label `severity` if that is one of PagerDuty's own or ours, and upstream's `error` otherwise."""
    class_: str = ""
    component: str = ""
    group: str = ""
    timeout: DurationMs = DurationMs(0)
    event: Literal["alert", "change"] = "alert"
    """Of our own: `change` sends change events, for alerts that tell of a rollout and ask for nothing."""

    def __post_init__(self) -> None:
        at_most_one(routing_key=self.routing_key, routing_key_file=self.routing_key_file)
        at_most_one(service_key=self.service_key, service_key_file=self.service_key_file)
        if self.routing is None and self.service is None:
            raise ValueError("a routing_key or service_key is missing")
        if self.event == "change" and self.routing is None:
            raise ValueError("change events need a routing_key")
        check_url("url", self.url)

    @property
    def routing(self) -> Secret | None:
        """The key of an integration of Events API v2."""
        return chosen(self.routing_key, self.routing_key_file)

    @property
    def service(self) -> Secret | None:
        """The key of an integration of Events API v1."""
        return chosen(self.service_key, self.service_key_file)
