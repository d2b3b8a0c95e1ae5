"""Messages of WeChat Work: a token first, then the message that shows it."""

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from udfs.alerting.messages.context import HttpRequest, MessageContext
from udfs.alerting.messages.conversation import Conversation, Token
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry
from udfs.alerting.receivers.secret import HIDDEN, Secret
from udfs.alerting.receivers.wechat import WechatConfig
from udfs.templates.go_json import go_json

_TOKEN_LASTS_MS: Final = 7_200_000
_TOKEN_MARGIN_MS: Final = 60_000
_TOKEN_OVER: Final = frozenset({40_014, 42_001})
_BUSY: Final = frozenset({-1, 45_009})


class _Answer(Struct, frozen=True):
    errcode: int = 0
    errmsg: str = ""
    access_token: str = ""
    expires_in: int = _TOKEN_LASTS_MS // 1_000


def wechat_conversation(config: WechatConfig, context: MessageContext, token: Token) -> Conversation:
    """Tell a notification; a token that the service does not know any more is asked for anew, once.

    Source of the codes: WeChat Work's table of global return codes.
    """
    api = context.text(config.api_url).rstrip("/")
    body = go_json(_message(config, context)).encode()
    answer = _Answer()
    for _ in range(2):
        if not token.is_good(context.now_ms):
            asked = {"corpid": context.text(config.corp_id), "corpsecret": context.reveal(config.secret, "api_secret")}
            got = _read((yield HttpRequest(url=Secret(f"{api}/gettoken?{urlencode(asked)}"), body=b"", method="GET")))
            if not got.access_token:
                return _refused("gave no token", got)
            token.text = got.access_token
            token.until_ms = context.now_ms + got.expires_in * 1_000 - _TOKEN_MARGIN_MS
        shown = urlencode({"access_token": token.text})
        answer = _read((yield HttpRequest(url=Secret(f"{api}/message/send?{shown}"), body=body)))
        if answer.errcode == 0:
            return None
        if answer.errcode not in _TOKEN_OVER:
            break
        token.until_ms = 0
    return _refused("refused the message", answer, token.text)


def _message(config: WechatConfig, context: MessageContext) -> dict[str, Any]:
    kind = config.message_type or "text"
    to = {
        "touser": context.text(config.to_user),
        "toparty": context.text(config.to_party),
        "totag": context.text(config.to_tag),
        "agentid": context.text(config.agent_id),
    }
    content = {"content": context.text(config.message)}
    return {name: value for name, value in to.items() if value} | {"safe": "0", "msgtype": kind, kind: content}


def _read(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer(errcode=-1, errmsg="the answer is no JSON")


def _refused(what: str, answer: _Answer, token: str = HIDDEN) -> Outcome:
    detail = f"WeChat {what}: {answer.errcode} {answer.errmsg.replace(token, HIDDEN)}"
    if answer.errcode in _BUSY:
        return Retry(reason=FailureReason.SERVER_ERROR, detail=detail)
    return Refused(reason=FailureReason.CLIENT_ERROR, detail=detail)
