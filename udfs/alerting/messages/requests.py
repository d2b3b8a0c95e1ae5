"""From a channel's configuration to the requests of one notification."""

from udfs.alerting.messages.chat import (
    discord_request,
    mattermost_request,
    rocketchat_request,
    telegram_request,
    webex_request,
)
from udfs.alerting.messages.context import HttpRequest, MessageContext, MessageError
from udfs.alerting.messages.conversation import Conversation, Token
from udfs.alerting.messages.jira import jira_conversation
from udfs.alerting.messages.oncall import opsgenie_requests, pushover_request, victorops_request
from udfs.alerting.messages.pagerduty import pagerduty_request
from udfs.alerting.messages.slack import slack_request
from udfs.alerting.messages.sns import sns_request
from udfs.alerting.messages.teams import msteams_request, msteamsv2_request
from udfs.alerting.messages.webhook import incidentio_request, webhook_request
from udfs.alerting.messages.wechat import wechat_conversation
from udfs.alerting.receivers.chat import (
    DiscordConfig,
    MattermostConfig,
    RocketchatConfig,
    TelegramConfig,
    WebexConfig,
)
from udfs.alerting.receivers.jira import JiraConfig
from udfs.alerting.receivers.oncall import IncidentioConfig, OpsgenieConfig, PushoverConfig, VictoropsConfig
from udfs.alerting.receivers.pagerduty import PagerdutyConfig
from udfs.alerting.receivers.receiver import ChannelConfig
from udfs.alerting.receivers.slack import SlackConfig
from udfs.alerting.receivers.sns import SnsConfig
from udfs.alerting.receivers.teams import MsteamsConfig, Msteamsv2Config
from udfs.alerting.receivers.webhook import WebhookConfig
from udfs.alerting.receivers.wechat import WechatConfig


def conversation_of(config: ChannelConfig, context: MessageContext, token: Token) -> Conversation:
    """Tell a notification; raises TemplateError or MessageError. The token is the channel's, kept between messages."""
    match config:
        case WechatConfig():
            return (yield from wechat_conversation(config, context, token))
        case JiraConfig():
            return (yield from jira_conversation(config, context))
        case _:
            for request in requests_of(config, context):  # noqa: UP028 - a tuple takes no answers
                yield request
            return None


def requests_of(config: ChannelConfig, context: MessageContext) -> tuple[HttpRequest, ...]:  # noqa: C901, PLR0911, PLR0912 - a table
    """Return the requests of channels for which no answer changes what follows, in order; raises as above."""
    match config:
        case WebhookConfig():
            return (webhook_request(config, context),)
        case SlackConfig():
            return (slack_request(config, context),)
        case PagerdutyConfig():
            return (pagerduty_request(config, context),)
        case MsteamsConfig():
            return (msteams_request(config, context),)
        case Msteamsv2Config():
            return (msteamsv2_request(config, context),)
        case DiscordConfig():
            return (discord_request(config, context),)
        case TelegramConfig():
            return (telegram_request(config, context),)
        case WebexConfig():
            return (webex_request(config, context),)
        case RocketchatConfig():
            return (rocketchat_request(config, context),)
        case MattermostConfig():
            return (mattermost_request(config, context),)
        case OpsgenieConfig():
            return opsgenie_requests(config, context)
        case VictoropsConfig():
            return (victorops_request(config, context),)
        case PushoverConfig():
            return (pushover_request(config, context),)
        case IncidentioConfig():
            return (incidentio_request(config, context),)
        case SnsConfig():
            return (sns_request(config, context),)
        case _:
            raise MessageError(f"{type(config).__name__} takes no HTTP request")
