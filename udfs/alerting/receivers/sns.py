"""Amazon's Simple Notification Service."""

from msgspec import Struct

from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret
from udfs.alerting.receivers.text import check_url, default


class Sigv4(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose requests to Amazon these are; what is empty comes from where Amazon's own programs look for it."""

    region: str = ""
    access_key: str = ""
    secret_key: Secret | None = None
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    use_fips_sts_endpoint: bool = False

    def __post_init__(self) -> None:
        if bool(self.access_key) != (self.secret_key is not None):
            raise ValueError("access_key and secret_key are configured together or not at all")


class SnsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to a topic, a phone or an application."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_url: str = ""
    sigv4: Sigv4 = Sigv4()
    topic_arn: str = ""
    phone_number: str = ""
    target_arn: str = ""
    subject: str = default("sns.default.subject")
    message: str = default("sns.default.message")
    attributes: dict[str, str] = {}
    use_aws_http_client: bool = False
    """Read, and without effect: requests go the same way as those of all channels."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.topic_arn, self.phone_number, self.target_arn))) != 1:
            raise ValueError("exactly one of topic_arn, target_arn and phone_number must be configured")
        check_url("api_url", self.api_url)
