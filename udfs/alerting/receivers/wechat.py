"""WeChat Work."""

from typing import Literal

from msgspec import Struct

from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.text import check_url, default


class WechatConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of an application to people, departments or tags of a company."""

    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_secret: Secret | None = None
    api_secret_file: str = ""
    corp_id: str = ""
    message: str = default("wechat.default.message")
    api_url: str = ""
    to_user: str = default("wechat.default.to_user")
    to_party: str = default("wechat.default.to_party")
    to_tag: str = default("wechat.default.to_tag")
    agent_id: str = default("wechat.default.agent_id")
    message_type: Literal["", "text", "markdown"] = "text"

    def __post_init__(self) -> None:
        at_most_one(api_secret=self.api_secret, api_secret_file=self.api_secret_file)
        check_url("api_url", self.api_url)

    @property
    def secret(self) -> Secret | None:
        """The application's secret."""
        return chosen(self.api_secret, self.api_secret_file)
