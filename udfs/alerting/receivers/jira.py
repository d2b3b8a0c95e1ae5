"""Jira."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from udfs.alerting.receivers.duration import DurationMs
from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.text import check_url, default

Filled = Annotated[str, Meta(min_length=1)]


class JiraField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of an issue, and whether later notices change it."""

    template: str = ""
    enable_update: bool = True


class JiraConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An issue per group: found by its label, made, changed, reopened and resolved."""

    project: Filled
    issue_type: Filled
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_url: str = ""
    api_type: Literal["auto", "cloud", "datacenter"] = "auto"
    summary: str | JiraField = default("jira.default.summary")
    description: str | JiraField = default("jira.default.description")
    labels: tuple[str, ...] = ()
    priority: str = default("jira.default.priority")
    reopen_transition: str = ""
    resolve_transition: str = ""
    wont_fix_resolution: str = ""
    reopen_duration: DurationMs = DurationMs(0)
    fields: dict[str, Any] = {}

    def __post_init__(self) -> None:
        check_url("api_url", self.api_url)
