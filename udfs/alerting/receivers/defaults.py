"""What `global` says of receivers, and how a channel takes it over where it says nothing itself."""

from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import fields, replace

from udfs.alerting.receivers.chat import MattermostConfig, RocketchatConfig, TelegramConfig, WebexConfig
from udfs.alerting.receivers.email import EmailConfig, host_port
from udfs.alerting.receivers.http import HttpConfig, TlsConfig
from udfs.alerting.receivers.jira import JiraConfig
from udfs.alerting.receivers.oncall import OpsgenieConfig, VictoropsConfig
from udfs.alerting.receivers.pagerduty import PagerdutyConfig
from udfs.alerting.receivers.secret import Secret, at_most_one
from udfs.alerting.receivers.slack import POST_MESSAGE_URL, SlackConfig
from udfs.alerting.receivers.teams import Msteamsv2Config
from udfs.alerting.receivers.text import check_url
from udfs.alerting.receivers.wechat import WechatConfig

Config = TypeVar("Config", bound=Struct)


class ReceiverDefaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of `global` that receivers take over; `resolve_timeout` is for the routing to read."""

    http_config: HttpConfig = HttpConfig()
    smtp_from: str = ""
    smtp_hello: str = "localhost"
    smtp_smarthost: str = ""
    smtp_auth_username: str = ""
    smtp_auth_password: Secret | None = None
    smtp_auth_password_file: str = ""
    smtp_auth_secret: Secret | None = None
    smtp_auth_secret_file: str = ""
    smtp_auth_identity: str = ""
    smtp_require_tls: bool = True
    smtp_tls_config: TlsConfig = TlsConfig()
    smtp_force_implicit_tls: bool | None = None
    slack_api_url: Secret | None = None
    slack_api_url_file: str = ""
    slack_app_token: Secret | None = None
    slack_app_token_file: str = ""
    slack_app_url: str = POST_MESSAGE_URL
    pagerduty_url: str = "https://events.pagerduty.com/v2/enqueue"
    opsgenie_api_key: Secret | None = None
    opsgenie_api_key_file: str = ""
    opsgenie_api_url: str = "https://api.opsgenie.com/"
    victorops_api_key: Secret | None = None
    victorops_api_key_file: str = ""
    victorops_api_url: str = "https://alert.victorops.com/integrations/generic/20131114/alert/"
    telegram_api_url: str = "https://api.telegram.org"
    telegram_bot_token: Secret | None = None
    telegram_bot_token_file: str = ""
    webex_api_url: str = "https://webexapis.com/v1/messages"
    rocketchat_api_url: str = "https://open.rocket.chat/"
    rocketchat_token: Secret | None = None
    rocketchat_token_file: str = ""
    rocketchat_token_id: Secret | None = None
    rocketchat_token_id_file: str = ""
    mattermost_webhook_url: Secret | None = None
    mattermost_webhook_url_file: str = ""
    wechat_api_url: str = "https://qyapi.weixin.qq.com/cgi-bin/"
    wechat_api_secret: Secret | None = None
    wechat_api_secret_file: str = ""
    wechat_api_corp_id: str = ""
    jira_api_url: str = ""

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self)):
            if name.endswith("_file"):
                plain = name.removesuffix("_file")
                at_most_one(**{plain: getattr(self, plain), name: getattr(self, name)})
            if name.endswith("_url") and isinstance(getattr(self, name), str):
                check_url(name, getattr(self, name))
        for secret_url in ("slack_api_url", "mattermost_webhook_url"):
            url: Secret | None = getattr(self, secret_url)
            if url is not None and url.origin == "text":
                check_url(secret_url, url.reveal_text())
        if self.smtp_smarthost:
            host_port(self.smtp_smarthost)
        token, url = self.slack_app_token or self.slack_app_token_file, self.slack_api_url
        # An API URL beside a token is how bots were configured before tokens had a key of their own.
        if url is None or url.reveal_text() != self.slack_app_url:
            at_most_one(slack_app_token=token, slack_api_url=url or self.slack_api_url_file)


# Of each kind: keys that are taken over together (a secret and its file) from the same keys of `global` with a prefix.
_INHERITED: Final[dict[type[Struct], tuple[tuple[tuple[str, str], ...], ...]]] = {
    EmailConfig: (
        (("from_", "smtp_from"),),
        (("hello", "smtp_hello"),),
        (("smarthost", "smtp_smarthost"),),
        (("auth_username", "smtp_auth_username"),),
        (("auth_password", "smtp_auth_password"), ("auth_password_file", "smtp_auth_password_file")),
        (("auth_secret", "smtp_auth_secret"), ("auth_secret_file", "smtp_auth_secret_file")),
        (("auth_identity", "smtp_auth_identity"),),
        (("require_tls", "smtp_require_tls"),),
        (("tls_config", "smtp_tls_config"),),
        (("force_implicit_tls", "smtp_force_implicit_tls"),),
    ),
    SlackConfig: ((("app_url", "slack_app_url"),),),
    PagerdutyConfig: ((("url", "pagerduty_url"),),),
    OpsgenieConfig: (
        (("api_url", "opsgenie_api_url"),),
        (("api_key", "opsgenie_api_key"), ("api_key_file", "opsgenie_api_key_file")),
    ),
    VictoropsConfig: (
        (("api_url", "victorops_api_url"),),
        (("api_key", "victorops_api_key"), ("api_key_file", "victorops_api_key_file")),
    ),
    TelegramConfig: (
        (("api_url", "telegram_api_url"),),
        (("bot_token", "telegram_bot_token"), ("bot_token_file", "telegram_bot_token_file")),
    ),
    WebexConfig: ((("api_url", "webex_api_url"),),),
    RocketchatConfig: (
        (("api_url", "rocketchat_api_url"),),
        (("token", "rocketchat_token"), ("token_file", "rocketchat_token_file")),
        (("token_id", "rocketchat_token_id"), ("token_id_file", "rocketchat_token_id_file")),
    ),
    MattermostConfig: (
        (("webhook_url", "mattermost_webhook_url"), ("webhook_url_file", "mattermost_webhook_url_file")),
    ),
    WechatConfig: (
        (("api_url", "wechat_api_url"),),
        (("api_secret", "wechat_api_secret"), ("api_secret_file", "wechat_api_secret_file")),
        (("corp_id", "wechat_api_corp_id"),),
    ),
    JiraConfig: ((("api_url", "jira_api_url"),),),
}

# What a kind cannot do without once `global` has been looked at; any one key of a group is enough.
_NEEDED: Final[dict[type[Struct], tuple[tuple[str, ...], ...]]] = {
    EmailConfig: (("smarthost",), ("from_",)),
    SlackConfig: (("api_url", "api_url_file", "app_token", "app_token_file"),),
    OpsgenieConfig: (("api_key", "api_key_file"),),
    VictoropsConfig: (("api_key", "api_key_file"),),
    TelegramConfig: (("bot_token", "bot_token_file"),),
    RocketchatConfig: (("token", "token_file"), ("token_id", "token_id_file")),
    MattermostConfig: (("webhook_url", "webhook_url_file"),),
    WechatConfig: (("api_secret", "api_secret_file"), ("corp_id",)),
    JiraConfig: (("api_url",),),
}


def filled(config: Config, defaults: ReceiverDefaults) -> Config:
    """Return a channel with all that it takes over; raises ValueError if something it needs is nowhere configured."""
    changes: dict[str, Any] = {}
    for group in _INHERITED.get(type(config), ()):
        if all(_unset(getattr(config, key)) for key, _ in group):
            changes |= {key: getattr(defaults, source) for key, source in group}
    if isinstance(config, SlackConfig):
        changes |= _slack(config, defaults)
    http = getattr(config, "http_config", defaults.http_config)
    if http is None:
        changes["http_config"] = defaults.http_config
    elif isinstance(config, Msteamsv2Config) and not http.proxy_url:
        changes["http_config"] = replace(http, proxy_url=defaults.http_config.proxy_url)
    changed = replace(config, **changes)
    for group_needed in _NEEDED.get(type(config), ()):
        if all(_unset(getattr(changed, key)) for key in group_needed):
            names = " or ".join(key.rstrip("_") for key in group_needed)
            raise ValueError(f"{names} is configured neither here nor in global")
    return changed


def _slack(config: SlackConfig, defaults: ReceiverDefaults) -> dict[str, Any]:
    authorized = config.http_config is not None and config.http_config.credentials is not None
    changes: dict[str, Any] = {}
    if config.token is None and config.endpoint is None:
        if not authorized and (defaults.slack_app_token or defaults.slack_app_token_file):
            changes |= {"app_token": defaults.slack_app_token, "app_token_file": defaults.slack_app_token_file}
        else:
            changes |= {"api_url": defaults.slack_api_url, "api_url_file": defaults.slack_api_url_file}
    has_token = config.token is not None or bool(changes.get("app_token") or changes.get("app_token_file"))
    if has_token and authorized:
        raise ValueError("http_config.authorization cannot be set beside an app_token")
    endpoint = config.endpoint or changes.get("api_url")
    is_bot = has_token or (isinstance(endpoint, Secret) and endpoint.reveal_text() == POST_MESSAGE_URL)
    if (config.update_message or config.post_updates_to_thread) and not is_bot:
        raise ValueError("update_message and post_updates_to_thread need a bot: app_token, or api_url of the Web API")
    return changes


def _unset(value: object) -> bool:
    return value is None or value == ""
