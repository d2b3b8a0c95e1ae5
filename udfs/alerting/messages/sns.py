"""Messages of Amazon SNS: the form that is then signed."""

from typing import Final
from urllib.parse import urlencode

from udfs.alerting.messages.context import HttpRequest, MessageContext, shortened, shortened_bytes
from udfs.alerting.receivers.secret import Secret
from udfs.alerting.receivers.sns import SnsConfig

_SUBJECT, _SMS, _MESSAGE = 100, 1_600, 262_144
_VERSION: Final = "2010-03-31"
_CONTENT_TYPE: Final = "application/x-www-form-urlencoded; charset=utf-8"


def sns_request(config: SnsConfig, context: MessageContext) -> HttpRequest:
    """Return the action Publish, not signed yet; without `api_url` it goes to the region's address.

    A topic in order (`.fifo`) gets each notification once, by its identifier.

    Source: Amazon SNS API reference, Publish, with its limits: subject 100 characters, SMS 1,600, message 256 KiB.
    """
    message, subject = context.text(config.message), context.text(config.subject)
    topic = context.text(config.topic_arn)
    phone = context.text(config.phone_number)
    told = shortened(message, _SMS) if phone else shortened_bytes(message, _MESSAGE)
    form = {
        "Action": "Publish",
        "Version": _VERSION,
        "TopicArn": topic,
        "PhoneNumber": phone,
        "TargetArn": context.text(config.target_arn),
        "Subject": "" if phone else shortened(" ".join(subject.split()), _SUBJECT),
        "Message": told,
    }
    if topic.endswith(".fifo"):
        form["MessageDeduplicationId"] = context.notification.notification_id
        form["MessageGroupId"] = context.group_hash
    attributes = {context.text(name): context.text(value) for name, value in config.attributes.items()}
    if told != message:
        attributes["truncated"] = "true"
    for number, (name, value) in enumerate(sorted(attributes.items()), 1):
        entry = f"MessageAttributes.entry.{number}"
        form |= {f"{entry}.Name": name, f"{entry}.Value.DataType": "String", f"{entry}.Value.StringValue": value}
    body = urlencode({name: value for name, value in form.items() if value}).encode()
    return HttpRequest(url=Secret(context.text(config.api_url)), body=body, content_type=_CONTENT_TYPE)
