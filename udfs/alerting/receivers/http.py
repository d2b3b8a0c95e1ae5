"""How a channel reaches its receiver over HTTP: authentication, TLS, proxy, headers (`http_config`)."""

from ipaddress import ip_network
from typing import Annotated, Literal

from msgspec import Meta, Struct

from udfs.alerting.receivers.secret import Secret, at_most_one, chosen

TlsVersion = Literal["", "TLS10", "TLS11", "TLS12", "TLS13"]


class BasicAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """User name and password."""

    username: str = ""
    username_file: str = ""
    password: Secret | None = None
    password_file: str = ""

    def __post_init__(self) -> None:
        at_most_one(username=self.username, username_file=self.username_file)
        at_most_one(password=self.password, password_file=self.password_file)

    @property
    def user(self) -> Secret | None:
        """The user name, or the file that holds it."""
        return chosen(Secret(self.username) if self.username else None, self.username_file)

    @property
    def word(self) -> Secret | None:
        """The password, or the file that holds it."""
        return chosen(self.password, self.password_file)


class Authorization(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The header `Authorization` as type and credentials."""

    type: str = "Bearer"
    credentials: Secret | None = None
    credentials_file: str = ""

    def __post_init__(self) -> None:
        at_most_one(credentials=self.credentials, credentials_file=self.credentials_file)
        if self.type.strip().lower() == "basic":
            raise ValueError('authorization type cannot be "basic": use basic_auth')

    @property
    def token(self) -> Secret | None:
        """The credentials, or the file that holds them."""
        return chosen(self.credentials, self.credentials_file)


class TlsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Certificates and versions of TLS; files are read when the channel is opened."""

    ca: str = ""
    cert: str = ""
    key: Secret | None = None
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: TlsVersion = ""
    max_version: TlsVersion = ""

    def __post_init__(self) -> None:
        at_most_one(ca=self.ca, ca_file=self.ca_file)
        at_most_one(cert=self.cert, cert_file=self.cert_file)
        at_most_one(key=self.key, key_file=self.key_file)
        if bool(self.cert or self.cert_file) != bool(self.key or self.key_file):
            raise ValueError("a client certificate needs both cert and key")
        if self.min_version and self.max_version and self.min_version > self.max_version:
            raise ValueError("min_version is above max_version")


class OAuth2(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OAuth 2.0 by client credentials (RFC 6749, 4.4); no other grant is supported."""

    client_id: Annotated[str, Meta(min_length=1)]
    token_url: Annotated[str, Meta(min_length=1)]
    client_secret: Secret | None = None
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ()
    endpoint_params: dict[str, str] = {}
    tls_config: TlsConfig | None = None
    proxy_url: str = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    proxy_connect_header: dict[str, tuple[Secret, ...]] = {}

    def __post_init__(self) -> None:
        at_most_one(client_secret=self.client_secret, client_secret_file=self.client_secret_file)

    @property
    def secret(self) -> Secret | None:
        """The client's secret, or the file that holds it."""
        return chosen(self.client_secret, self.client_secret_file)


class HeaderValues(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The values of one header of every request."""

    values: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    files: tuple[str, ...] = ()


class HttpConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP client of a channel.

    `follow_redirects` and `enable_http2` are accepted for compatibility: a redirect is never followed, because a
    message with credentials must not go where its receiver did not put it, and HTTP/1.1 is spoken.
    """

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    bearer_token: Secret | None = None
    bearer_token_file: str = ""
    tls_config: TlsConfig = TlsConfig()
    follow_redirects: bool = True
    enable_http2: bool = True
    proxy_url: str = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    proxy_connect_header: dict[str, tuple[Secret, ...]] = {}
    http_headers: dict[str, HeaderValues] = {}
    allowed_networks: tuple[str, ...] = ()
    """Of our own: networks, as `10.1.0.0/16`, that this channel may reach although they are internal."""

    def __post_init__(self) -> None:
        at_most_one(bearer_token=self.bearer_token, bearer_token_file=self.bearer_token_file)
        bearer = self.bearer_token or self.bearer_token_file
        at_most_one(
            basic_auth=self.basic_auth, authorization=self.authorization, oauth2=self.oauth2, bearer_token=bearer
        )
        if self.proxy_connect_header and not self.proxy_url and not self.proxy_from_environment:
            raise ValueError("proxy_connect_header needs proxy_url")
        if self.proxy_from_environment and (self.proxy_url or self.no_proxy):
            raise ValueError("proxy_from_environment goes with neither proxy_url nor no_proxy")
        for network in self.allowed_networks:
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"allowed_networks: {network} is no network such as 10.1.0.0/16") from None

    @property
    def credentials(self) -> Authorization | None:
        """What the header `Authorization` says, however it was configured; basic_auth and oauth2 aside."""
        if self.bearer_token or self.bearer_token_file:
            return Authorization(credentials=self.bearer_token, credentials_file=self.bearer_token_file)
        return self.authorization
