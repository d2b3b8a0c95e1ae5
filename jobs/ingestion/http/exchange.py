"""Exchange: a request and an answer of HTTP, on ASGI without a framework (one event costs less than its routing)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from msgspec import Struct

from jobs.ingestion.auth.caller import Credentials

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Request:
    """The head of a request, and where its body comes from."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.receive = receive
        # Of a header given twice the last one holds; `authorization` and `content-type` must not be.
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._query: bytes = scope["query_string"]
        self._certificate_names: tuple[str, ...] = scope.get("state", {}).get("certificate_names", ())

    def header(self, name: bytes) -> str | None:
        """Return a header by its name in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def query(self, name: str) -> str | None:
        """Return a parameter of the address."""
        values = parse_qs(self._query.decode("latin-1")).get(name) if self._query else None
        return values[-1] if values else None

    @property
    def media_type(self) -> str:
        """The media type of the body, without parameters, in lower case."""
        return (self.header(b"content-type") or "").partition(";")[0].strip().lower()

    @property
    def credentials(self) -> Credentials:
        """What the request brought along to say who it is from."""
        return Credentials(
            authorization=self.header(b"authorization"),
            api_key=self.header(b"x-api-key"),
            certificate_names=self._certificate_names,
        )


class Response(Struct, frozen=True, kw_only=True):
    """An answer."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send) -> None:
        """Send it."""
        head = [
            (b"content-type", self.media_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": self.body})
