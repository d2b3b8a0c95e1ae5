"""Receiver: a name and the channels that a notification to it goes through."""

from typing import Final, get_args

from msgspec import Struct

from udfs.alerting.receivers.chat import (
    DiscordConfig,
    MattermostConfig,
    RocketchatConfig,
    TelegramConfig,
    WebexConfig,
)
from udfs.alerting.receivers.email import EmailConfig
from udfs.alerting.receivers.jira import JiraConfig
from udfs.alerting.receivers.local import CommandConfig, LogConfig
from udfs.alerting.receivers.oncall import IncidentioConfig, OpsgenieConfig, PushoverConfig, VictoropsConfig
from udfs.alerting.receivers.pagerduty import PagerdutyConfig
from udfs.alerting.receivers.slack import SlackConfig
from udfs.alerting.receivers.sns import SnsConfig
from udfs.alerting.receivers.teams import MsteamsConfig, Msteamsv2Config
from udfs.alerting.receivers.webhook import WebhookConfig
from udfs.alerting.receivers.wechat import WechatConfig

ChannelConfig = (
    EmailConfig
    | SlackConfig
    | PagerdutyConfig
    | WebhookConfig
    | MsteamsConfig
    | Msteamsv2Config
    | LogConfig
    | CommandConfig
    | DiscordConfig
    | TelegramConfig
    | WebexConfig
    | RocketchatConfig
    | MattermostConfig
    | OpsgenieConfig
    | IncidentioConfig
    | VictoropsConfig
    | PushoverConfig
    | SnsConfig
    | WechatConfig
    | JiraConfig
)
KINDS: Final[dict[str, type[ChannelConfig]]] = {
    kind.__name__.removesuffix("Config").lower(): kind for kind in get_args(ChannelConfig)
}
"""Every kind of channel by its name: the section of a kind is `<kind>_configs`."""


class Channel(Struct, frozen=True, kw_only=True):
    """One way to a receiver."""

    key: str
    """Kind and position within its section, as `slack[0]`."""
    kind: str
    config: ChannelConfig

    @property
    def send_resolved(self) -> bool:
        """Whether the end of alerts is told as well."""
        return self.config.send_resolved


class Receiver(Struct, frozen=True, kw_only=True):
    """A name that routes refer to; without channels it is silence on purpose."""

    name: str
    channels: tuple[Channel, ...] = ()
    labels: dict[str, str] = {}
