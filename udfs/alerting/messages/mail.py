"""A notification as a mail: plain text and HTML, in the conversation of its group.

The Message-ID is made of the notification's identifier, the same on every try, so that a repeated mail is recognised.
`Auto-Submitted` (RFC 3834) keeps automatic answers away.
"""

import hashlib
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from typing import Final

from msgspec import Struct

from udfs.alerting.messages.context import MessageContext, MessageError
from udfs.alerting.receivers.email import SUBJECT, EmailConfig
from udfs.alerting.receivers.text import default
from udfs.templates.go_time import time_of

_DAY_MS: Final = 86_400_000
_SUBJECT_MOST: Final = 900
_QUOTED: Final = re.compile(r'"[^"]*"')


class Mail(Struct, frozen=True, kw_only=True):
    """A mail and its envelope."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


def mail_of(config: EmailConfig, context: MessageContext) -> Mail:  # noqa: C901 - one branch per header
    """Return the mail; raises TemplateError or MessageError if it cannot be made."""
    senders = _addresses(context.text(config.from_), "from")
    if len(senders) != 1:
        raise MessageError("from must be exactly one address")
    recipients = _addresses(context.text(config.to), "to")
    domain = senders[0][1].rpartition("@")[2] or "localhost"
    message = EmailMessage(policy=SMTP.clone(max_line_length=200))
    headers = {name.title(): value for name, value in config.headers.items()}
    written = {
        "From": config.from_,
        "To": config.to,
        "Subject": SUBJECT,
    } | headers
    for name, template in written.items():
        value = " ".join(context.text(template).split())
        if name in ("From", "To", "Cc", "Reply-To"):
            message[name] = [_header_address(each) for each in _addresses(value, name.lower())]
        else:
            message[name] = value[:_SUBJECT_MOST]
    if "Date" not in headers:
        message["Date"] = format_datetime(time_of(context.now_ms).at)
    if "Message-Id" not in headers:
        message["Message-ID"] = f"<{_identifier(context.notification.notification_id)}@{domain}>"
    thread = _thread(config, context)
    if thread:
        for name in ("References", "In-Reply-To"):
            if name not in headers:
                message[name] = f"<{thread}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    text = default("email.default.text") if config.text is None else config.text
    html = default("email.default.html") if config.html is None else config.html
    if text or not html:
        message.set_content(context.text(text))
        if html:
            message.add_alternative(context.html(html), subtype="html")
    else:
        message.set_content(context.html(html), subtype="html")
        message.make_alternative()
    return Mail(sender=senders[0][1], recipients=tuple(address for _, address in recipients), content=bytes(message))


def _thread(config: EmailConfig, context: MessageContext) -> str:
    if not config.threading.enabled:
        return ""
    day = str(context.notification.created_at_ms // _DAY_MS) if config.threading.thread_by_date == "daily" else ""
    return _identifier("group", context.notification.group_key, day)


def _identifier(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def _addresses(text: str, key: str) -> list[tuple[str, str]]:
    found = [(name, address) for name, address in getaddresses([text]) if address]
    # A second @ would be cut off in silence.
    marks = _QUOTED.sub("", text).count("@")
    if not found or marks != len(found) or any(address.count("@") != 1 or " " in address for _, address in found):
        raise MessageError(f"{key} is no list of mail addresses")
    return found


def _header_address(found: tuple[str, str]) -> Address:
    name, address = found
    user, _, domain = address.rpartition("@")
    try:
        return Address(display_name=name, username=user, domain=domain)
    except ValueError:
        raise MessageError("an address cannot be written into a header") from None
