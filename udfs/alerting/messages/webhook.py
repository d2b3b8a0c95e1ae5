"""The body of `webhook_configs`, and the signatures of Standard Webhooks 1.0 over its bytes."""

import base64
import binascii
import hashlib
import hmac
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.time import from_at_ms
from udfs.alerting.messages.context import HttpRequest, MessageContext, MessageError
from udfs.alerting.receivers.oncall import IncidentioConfig
from udfs.alerting.receivers.secret import Secret
from udfs.alerting.receivers.webhook import WebhookConfig
from udfs.templates.go_json import go_json, text_json

_LEAST_KEY, _MOST_KEY = 24, 64
_ED25519_SIZES = (32, 64)


def webhook_request(config: WebhookConfig, context: MessageContext) -> HttpRequest:
    """Return the request, with the identifier that stays the same over all tries and a signature per secret."""
    body = _body(config, context)
    seconds = context.now_ms // 1_000
    identifier = context.notification.notification_id
    headers = [("webhook-id", Secret(identifier)), ("webhook-timestamp", Secret(str(seconds)))]
    if config.signing_secrets:
        keys = [context.reveal(secret, f"signing_secrets[{i}]") for i, secret in enumerate(config.signing_secrets)]
        headers.append(
            ("webhook-signature", Secret(" ".join(signature(key, identifier, seconds, body) for key in keys)))
        )
    return HttpRequest(url=context.url(config.target, "url"), body=body, headers=tuple(headers))


def incidentio_request(config: IncidentioConfig, context: MessageContext) -> HttpRequest:
    """Return the request to incident.io, which takes Alertmanager's body."""
    headers: tuple[tuple[str, Secret], ...] = ()
    if config.token is not None:
        headers = (("Authorization", Secret(f"Bearer {context.reveal(config.token, 'alert_source_token')}")),)
    body = alertmanager_body(context, config.max_alerts)
    return HttpRequest(url=context.url(config.target, "url"), body=body, headers=headers)


def alertmanager_body(context: MessageContext, most_alerts: int = 0) -> bytes:
    """Return Alertmanager's JSON of version 4: its fields in its order, in the bytes that its encoder writes."""
    return f"{_with_group(context, most_alerts, version='4')}\n".encode()


def _with_group(context: MessageContext, most_alerts: int, version: str = "") -> str:
    data, left_out = context.for_json(most_alerts)
    notification = context.notification
    tail = [f'"version":{text_json(version)}'] if version else []
    tail += [
        f'"groupKey":{text_json(notification.group_key)}',
        f'"truncatedAlerts":{left_out + notification.truncated_alerts}',
    ]
    return f"{go_json(data).removesuffix('}')},{','.join(tail)}}}"


def _body(config: WebhookConfig, context: MessageContext) -> bytes:
    if config.payload is not None:
        return (go_json(_structured(config.payload, context)) + "\n").encode()
    if config.body == "alertmanager":
        return alertmanager_body(context, config.max_alerts)
    members = {
        "type": text_json(f"alert.{'firing' if context.is_firing else 'resolved'}"),
        "timestamp": text_json(from_at_ms(context.notification.created_at_ms)),
        "data": _with_group(context, config.max_alerts),
    }
    return f"{{{','.join(f'{text_json(name)}:{value}' for name, value in members.items())}}}".encode()


def _structured(value: Any, context: MessageContext) -> Any:
    """Return a payload with its texts rendered; what then reads as YAML of another kind becomes it."""
    if isinstance(value, str):
        text = context.text(value)
        try:
            read = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            return text
        return text if isinstance(read, str) or not _is_plain(read) else read
    if isinstance(value, dict):
        return {context.text(str(key)): _structured(each, context) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_structured(each, context) for each in value]
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def signature(key: str, identifier: str, seconds: int, body: bytes) -> str:
    """Return one signature: `v1,` for a key `whsec_...` (HMAC-SHA256), `v1a,` for `whsk_...` (ed25519).

    Raises MessageError if the key is neither; its text never shows the key. Source: Standard Webhooks 1.0.0.
    """
    signed = f"{identifier}.{seconds}.".encode() + body
    kind, _, encoded = key.partition("_")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise MessageError("a signing secret is no base64 after its prefix") from None
    if kind == "whsec":
        if not _LEAST_KEY <= len(secret) <= _MOST_KEY:
            raise MessageError(f"a signing secret whsec_ has {_LEAST_KEY} to {_MOST_KEY} bytes")
        return f"v1,{base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()}"
    if kind == "whsk" and len(secret) in _ED25519_SIZES:
        return f"v1a,{base64.b64encode(Ed25519PrivateKey.from_private_bytes(secret[:32]).sign(signed)).decode()}"
    raise MessageError("a signing secret begins with whsec_ (24 to 64 bytes) or whsk_ (32 or 64 bytes)")
