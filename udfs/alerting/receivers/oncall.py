"""Services that call people: Opsgenie, incident.io, VictorOps (Splunk On-Call), Pushover."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from udfs.alerting.receivers.duration import DurationMs
from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.text import TEMPLATE_MARK, check_url, default

_RESPONDER_TYPES: Final = ("team", "teams", "user", "escalation", "schedule")
_VICTOROPS_FIXED: Final = (
    "routing_key",
    "message_type",
    "state_message",
    "entity_display_name",
    "monitoring_tool",
    "entity_id",
    "entity_state",
)


class OpsgenieResponder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to answer an alert."""

    id: str = ""
    name: str = ""
    username: str = ""
    type: str = ""

    def __post_init__(self) -> None:
        if not (self.id or self.name or self.username):
            raise ValueError("a responder needs id, name or username")
        if TEMPLATE_MARK not in self.type and self.type.lower() not in _RESPONDER_TYPES:
            raise ValueError(f"a responder's type is one of {', '.join(_RESPONDER_TYPES)}")


class OpsgenieConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert of Opsgenie per group, created and closed by its alias."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_key: Secret | None = None
    api_key_file: str = ""
    api_url: str = ""
    message: str = default("opsgenie.default.message")
    description: str = default("opsgenie.default.description")
    source: str = default("opsgenie.default.source")
    details: dict[str, str] = {}
    entity: str = ""
    responders: tuple[OpsgenieResponder, ...] = ()
    actions: str = ""
    tags: str = ""
    note: str = ""
    priority: str = ""
    update_alerts: bool = False

    def __post_init__(self) -> None:
        at_most_one(api_key=self.api_key, api_key_file=self.api_key_file)
        check_url("api_url", self.api_url)

    @property
    def key(self) -> Secret | None:
        """The API key."""
        return chosen(self.api_key, self.api_key_file)


class IncidentioConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alertmanager's JSON to an alert source of incident.io."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    url: str = ""
    url_file: str = ""
    alert_source_token: Secret | None = None
    alert_source_token_file: str = ""
    max_alerts: Annotated[int, Meta(ge=0)] = 0
    timeout: DurationMs = DurationMs(0)

    def __post_init__(self) -> None:
        at_most_one(url=self.url, url_file=self.url_file)
        if not self.url and not self.url_file:
            raise ValueError("one of url and url_file must be configured")
        at_most_one(alert_source_token=self.alert_source_token, alert_source_token_file=self.alert_source_token_file)
        authorized = self.http_config is not None and self.http_config.credentials is not None
        if authorized == (self.token is not None):
            raise ValueError("exactly one of alert_source_token and http_config.authorization must be configured")
        check_url("url", self.url)

    @property
    def target(self) -> Secret | None:
        """Where to post."""
        return chosen(Secret(self.url) if self.url else None, self.url_file)

    @property
    def token(self) -> Secret | None:
        """The token of the alert source."""
        return chosen(self.alert_source_token, self.alert_source_token_file)


class VictoropsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert of VictorOps per group."""

    routing_key: Annotated[str, Meta(min_length=1)]
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_key: Secret | None = None
    api_key_file: str = ""
    api_url: str = ""
    message_type: str = "CRITICAL"
    state_message: str = default("victorops.default.state_message")
    entity_display_name: str = default("victorops.default.entity_display_name")
    monitoring_tool: str = default("victorops.default.monitoring_tool")
    custom_fields: dict[str, str] = {}

    def __post_init__(self) -> None:
        at_most_one(api_key=self.api_key, api_key_file=self.api_key_file)
        check_url("api_url", self.api_url)
        for name in _VICTOROPS_FIXED:
            if name in self.custom_fields:
                raise ValueError(f"custom_fields: {name} is a fixed field")

    @property
    def key(self) -> Secret | None:
        """The API key."""
        return chosen(self.api_key, self.api_key_file)


class PushoverConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to a phone."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    user_key: Secret | None = None
    user_key_file: str = ""
    token: Secret | None = None
    token_file: str = ""
    title: str = default("pushover.default.title")
    message: str = default("pushover.default.message")
    url: str = default("pushover.default.url")
    url_title: str = ""
    device: str = ""
    sound: str = ""
    priority: str = '{{ if eq .Status "firing" }}2{{ else }}0{{ end }}'
    retry: DurationMs = DurationMs(60_000)
    expire: DurationMs = DurationMs(3_600_000)
    ttl: DurationMs = DurationMs(0)
    html: bool = False
    monospace: bool = False

    def __post_init__(self) -> None:
        at_most_one(user_key=self.user_key, user_key_file=self.user_key_file)
        at_most_one(token=self.token, token_file=self.token_file)
        at_most_one(html=self.html, monospace=self.monospace)
        if self.user is None or self.application is None:
            raise ValueError("user_key and token must be configured")

    @property
    def user(self) -> Secret | None:
        """The recipient's key."""
        return chosen(self.user_key, self.user_key_file)

    @property
    def application(self) -> Secret | None:
        """The application's token."""
        return chosen(self.token, self.token_file)
