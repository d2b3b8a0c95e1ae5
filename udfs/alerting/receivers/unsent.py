"""Kinds that are accepted but not sent: they need more than one request or a vendor's own signature."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from udfs.alerting.receivers.duration import DurationMs
from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one

Filled = Annotated[str, Meta(min_length=1)]


class Sigv4(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests to Amazon are signed."""

    region: str = ""
    access_key: str = ""
    secret_key: Secret | None = None
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    use_fips_sts_endpoint: bool = False


class SnsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Amazon's Simple Notification Service."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_url: str = ""
    sigv4: Sigv4 = Sigv4()
    topic_arn: str = ""
    phone_number: str = ""
    target_arn: str = ""
    subject: str = ""
    message: str = ""
    attributes: dict[str, str] = {}
    use_aws_http_client: bool = False

    def __post_init__(self) -> None:
        if not (self.topic_arn or self.phone_number or self.target_arn):
            raise ValueError("one of topic_arn, target_arn and phone_number must be configured")


class WechatConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """WeChat Work."""

    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_secret: Secret | None = None
    api_secret_file: str = ""
    corp_id: str = ""
    message: str = ""
    api_url: str = ""
    to_user: str = ""
    to_party: str = ""
    to_tag: str = ""
    agent_id: str = ""
    message_type: Literal["", "text", "markdown"] = "text"

    def __post_init__(self) -> None:
        at_most_one(api_secret=self.api_secret, api_secret_file=self.api_secret_file)


class JiraField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of an issue, and whether it is changed later."""

    template: str = ""
    enable_update: bool = True


class JiraConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An issue of Jira per group."""

    project: Filled
    issue_type: Filled
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_url: str = ""
    api_type: Literal["auto", "cloud", "datacenter"] = "auto"
    summary: str | JiraField = ""
    description: str | JiraField = ""
    labels: tuple[str, ...] = ()
    priority: str = ""
    reopen_transition: str = ""
    resolve_transition: str = ""
    wont_fix_resolution: str = ""
    reopen_duration: DurationMs = DurationMs(0)
    fields: dict[str, Any] = {}
