"""The HTTP client of a channel: checked addresses, no redirects, bounded answers, credentials by its configuration."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from msgspec import Struct
from multidict import CIMultiDict
from yarl import URL

from jobs.dispatch.channels.credentials import CredentialError, Reveal, revealed
from jobs.dispatch.channels.guard import GuardedConnector, Network, checked_addresses, networks_of
from jobs.dispatch.channels.tls import tls_context
from udfs.alerting.messages.context import HttpRequest
from udfs.alerting.receivers.http import HttpConfig, OAuth2
from udfs.alerting.receivers.secret import Secret

ANSWER_MOST: Final = 65_536
"""Bytes of an answer that are read."""
USER_AGENT: Final = "LLM-Sentinel"
_CONNECTIONS: Final = 20
_KEEP_S: Final = 60.0
_TOKEN_MARGIN_S: Final = 30.0


class HttpAnswer(Struct, frozen=True, kw_only=True):
    """What a receiver answered."""

    status: int
    headers: dict[str, str]
    """Names in small letters."""
    body: bytes


class HttpClient:
    """Connections of one channel, kept between notifications."""

    def __init__(self, config: HttpConfig, folder: Path, allowed: Sequence[Network] = ()) -> None:
        self._config = config
        self._folder = folder
        self._allowed = (*allowed, *networks_of(config.allowed_networks))
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._tls_context: ssl.SSLContext | None = None
        self._last_target = "", URL()
        self._token = ""
        self._token_until = 0.0
        self._token_lock = asyncio.Lock()

    async def request(self, request: HttpRequest, reveal: Reveal, timeout_s: float) -> HttpAnswer:
        """Send one request; raises aiohttp's errors, those of the guard, and CredentialError."""
        headers = [("User-Agent", USER_AGENT), ("Content-Type", request.content_type)]
        headers += [(name, _line(value.reveal_text())) for name, value in request.headers]
        sent = {name.lower() for name, _ in headers}
        own = await self._credentials(reveal, timeout_s)
        headers += [(name, value) for name, value in own if name.lower() not in sent]
        return await self._exchange(request.method, request.url.reveal_text(), headers, request.body, timeout_s)

    async def close(self) -> None:
        """Close its connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _exchange(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, timeout_s: float
    ) -> HttpAnswer:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CredentialError("the URL is none of http or https")
        if parts.username is not None and not any(name == "Authorization" for name, _ in headers):
            headers = [*headers, _basic(unquote(parts.username), unquote(parts.password or ""))]
        proxy = self._proxy_for(parts.scheme, parts.hostname)
        if proxy:
            # The proxy resolves the name again, so this cannot bind it to the address that was checked.
            await checked_addresses(
                parts.hostname, parts.port or (443 if parts.scheme == "https" else 80), self._allowed
            )
        async with self._session(is_proxied=bool(proxy)).request(
            method,
            self._target(url),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            ssl=self._tls() if parts.scheme == "https" else True,
            server_hostname=self._config.tls_config.server_name or None,
            **(self._by_proxy(proxy) if proxy else {}),
        ) as answer:
            read = bytearray()
            async for chunk in answer.content.iter_any():
                read += chunk
                if len(read) >= ANSWER_MOST:
                    break
            named = {name.lower(): value for name, value in answer.headers.items()}
            return HttpAnswer(status=answer.status, headers=named, body=bytes(read[:ANSWER_MOST]))

    def _proxy_for(self, scheme: str, host: str) -> str:
        config = self._config
        if config.proxy_from_environment:
            return "" if proxy_bypass(host) else getproxies().get(scheme, "")
        bypass = [each.strip().lstrip("*").lstrip(".").lower() for each in config.no_proxy.split(",") if each.strip()]
        name = host.lower()
        return "" if any(name == each or name.endswith("." + each) for each in bypass) else config.proxy_url

    def _target(self, url: str) -> URL:
        """Return the URL without user and fragment; the last one is kept, as most channels have but one."""
        if self._last_target[0] != url:
            # As it is written: a service may have signed what is quoted in it, and aiohttp would quote it anew.
            text = str(httpx.URL(url).copy_with(userinfo=b"", fragment=None))
            self._last_target = url, URL(text, encoded=True)
        return self._last_target[1]

    def _session(self, *, is_proxied: bool) -> aiohttp.ClientSession:
        if is_proxied not in self._sessions:
            if is_proxied:
                # A configured proxy's own address needs no permission.
                connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_S)
            else:
                connector = GuardedConnector(self._allowed, most=_CONNECTIONS, keep_s=_KEEP_S)
            self._sessions[is_proxied] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding"),
                auto_decompress=False,
            )
        return self._sessions[is_proxied]

    def _tls(self) -> ssl.SSLContext:
        if self._tls_context is None:
            # Reading the certificates of all authorities takes 30 ms.
            self._tls_context = tls_context(self._config.tls_config, self._folder, self._reveal)
        return self._tls_context

    def _by_proxy(self, proxy: str) -> dict[str, Any]:
        headers = CIMultiDict(
            (name, _line(self._reveal(value)))
            for name, values in self._config.proxy_connect_header.items()
            for value in values
        )
        parts = urlsplit(proxy)
        return {
            "proxy": f"{parts.scheme}://{parts.hostname}:{parts.port or 3128}",
            "proxy_auth": aiohttp.BasicAuth(parts.username, parts.password or "") if parts.username else None,
            "proxy_headers": headers,
        }

    def _reveal(self, secret: Secret) -> str:
        return revealed(secret, self._folder)

    async def _credentials(self, reveal: Reveal, timeout_s: float) -> list[tuple[str, str]]:
        config = self._config
        headers: list[tuple[str, str]] = []
        for name, values in config.http_headers.items():
            texts = [
                *values.values,
                *map(reveal, values.secrets),
                *(reveal(Secret(file, "file")) for file in values.files),
            ]
            headers += [(name, _line(text)) for text in texts]
        if config.basic_auth is not None:
            user, word = config.basic_auth.user, config.basic_auth.word
            headers.append(_basic(reveal(user) if user else "", reveal(word) if word else ""))
        elif (authorization := config.credentials) is not None and authorization.token is not None:
            headers.append(("Authorization", _line(f"{authorization.type.strip()} {reveal(authorization.token)}")))
        elif config.oauth2 is not None:
            token = await self._access_token(config.oauth2, reveal, timeout_s)
            headers.append(("Authorization", _line(f"Bearer {token}")))
        return headers

    async def _access_token(self, oauth2: OAuth2, reveal: Reveal, timeout_s: float) -> str:
        """Return the token, asked for anew shortly before it ends (RFC 6749, 4.4)."""
        async with self._token_lock:
            if time.monotonic() < self._token_until:
                return self._token
            form = {"grant_type": "client_credentials", **oauth2.endpoint_params}
            if oauth2.scopes:
                form["scope"] = " ".join(oauth2.scopes)
            secret = reveal(oauth2.secret) if oauth2.secret is not None else ""
            kind = ("Content-Type", "application/x-www-form-urlencoded")
            in_header = [kind, _basic(oauth2.client_id, secret)]
            answer = await self._exchange("POST", oauth2.token_url, in_header, urlencode(form).encode(), timeout_s)
            if answer.status in (400, 401):
                # Some servers want the client in the body, which the standard allows.
                form |= {"client_id": oauth2.client_id, "client_secret": secret}
                answer = await self._exchange("POST", oauth2.token_url, [kind], urlencode(form).encode(), timeout_s)
            try:
                read = json.loads(answer.body)
                self._token = str(read["access_token"])
                lasts_s = float(read.get("expires_in", 300))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise CredentialError(f"oauth2: the token URL answered {answer.status} and no token") from None
            self._token_until = time.monotonic() + max(0.0, lasts_s - _TOKEN_MARGIN_S)
            return self._token


def _basic(user: str, word: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


def _line(text: str) -> str:
    """Return a header's value; raises CredentialError if it would be two lines."""
    if "\n" in text or "\r" in text or "\0" in text:
        raise CredentialError("a header's value must be one line")
    return text
