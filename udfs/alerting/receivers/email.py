"""`email_configs`: notifications by mail."""

import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from udfs.alerting.receivers.http import TlsConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.text import default

SUBJECT: Final = default("email.default.subject")
_SMARTHOST: Final = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):([^:]+)$")
SMTPS_PORT: Final = 465


class Threading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mails of one group as one conversation; of our own default it is on, upstream's is off."""

    enabled: bool = True
    thread_by_date: Literal["", "none", "daily"] = "none"


class EmailConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One mail to all of `to` about a group."""

    to: Annotated[str, Meta(min_length=1)]
    send_resolved: bool = False
    from_: str = field(default="", name="from")
    hello: str = ""
    smarthost: str = ""
    auth_username: str = ""
    auth_password: Secret | None = None
    auth_password_file: str = ""
    auth_secret: Secret | None = None
    auth_secret_file: str = ""
    auth_identity: str = ""
    headers: dict[str, str] = {}
    html: str | None = None
    """None is a message of our own for alerts of our own, and upstream's `email.default.html` for all others."""
    text: str | None = None
    """As `html`; upstream sends no text unless it is configured."""
    require_tls: bool | None = None
    tls_config: TlsConfig | None = None
    force_implicit_tls: bool | None = None
    threading: Threading = Threading()

    def __post_init__(self) -> None:
        at_most_one(auth_password=self.auth_password, auth_password_file=self.auth_password_file)
        at_most_one(auth_secret=self.auth_secret, auth_secret_file=self.auth_secret_file)
        names = [name.lower() for name in self.headers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"duplicate header {name}")
        if self.smarthost:
            host_port(self.smarthost)

    @property
    def password(self) -> Secret | None:
        """The password of PLAIN and LOGIN."""
        return chosen(self.auth_password, self.auth_password_file)

    @property
    def shared_secret(self) -> Secret | None:
        """The secret of CRAM-MD5."""
        return chosen(self.auth_secret, self.auth_secret_file)


def host_port(smarthost: str) -> tuple[str, int]:
    """Return host and port of an SMTP server; raises ValueError unless it is `host:port` with a port."""
    found = _SMARTHOST.match(smarthost)
    if found is None or not found[2].isdigit() or not 0 < int(found[2]) < 65_536:  # noqa: PLR2004 ports end there
        raise ValueError("smarthost must be host:port with a port number")
    return found[1].strip("[]"), int(found[2])
