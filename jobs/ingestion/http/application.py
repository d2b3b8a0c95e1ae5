"""Application: which address leads where, and the order in which a request is asked for what.

Who sends is asked before what is sent: nobody unknown makes the server read or hold a body.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from jobs.ingestion.admittance import admitted
from jobs.ingestion.answering import answering
from jobs.ingestion.auth.caller import Caller
from jobs.ingestion.auth.gatekeeper import Gatekeeper
from jobs.ingestion.buffer import Ack
from jobs.ingestion.http import otlp_answers, problems
from jobs.ingestion.http.body import read_body
from jobs.ingestion.http.exchange import Receive, Request, Response, Scope, Send
from jobs.ingestion.http.pages import Pages
from jobs.ingestion.memory import Lease, RequestMemory
from jobs.ingestion.outcome import Refusal, RefusedError, Taken
from jobs.ingestion.reception import Reception
from jobs.ingestion.request_metrics import RequestMetrics
from jobs.ingestion.signals import Signal

EVENTS_PATH: Final = "/v1/events"
_SIGNALS: Final = {f"/v1/{signal.value}": signal for signal in Signal}
_JSON: Final = "application/json"
_LINES: Final = frozenset({"application/x-ndjson", "application/jsonl", "application/ndjson"})
_EVENT_TYPES: Final = "application/json, application/x-ndjson"
_BODY_S: Final = 30.0


class Application:
    """The ASGI application of the HTTP ports and of the Unix socket."""

    def __init__(
        self,
        *,
        reception: Reception,
        gatekeeper: Gatekeeper,
        memory: RequestMemory,
        pages: Pages,
        metrics: RequestMetrics,
        bytes_max: int,
    ) -> None:
        self._reception = reception
        self._gatekeeper = gatekeeper
        self._memory = memory
        self._pages = pages
        self._metrics = metrics
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        await (await self._response(request)).send(send)

    async def _response(self, request: Request) -> Response:
        signal = _SIGNALS.get(request.path)
        if signal is not None:
            return await self._otlp(request, signal)
        if request.path == EVENTS_PATH:
            return await self._events(request)
        try:
            return await self._pages.response(request)
        except RefusedError as refused:
            return problems.problem(refused)

    async def _otlp(self, request: Request, signal: Signal) -> Response:
        # What cannot be answered in the encoding of the request is answered in the protocol's first.
        media_type = request.media_type
        answered_in = media_type if media_type == otlp_answers.JSON else otlp_answers.PROTOBUF

        async def take(caller: Caller, body: bytes) -> Taken:
            return await self._reception.otlp(caller, signal, body, is_json=media_type == otlp_answers.JSON)

        try:
            _demand_type(media_type, (otlp_answers.PROTOBUF, otlp_answers.JSON), otlp_answers.TYPES, request.method)
            taken = await self._taken(f"otlp_http_{signal.value}", request, take)
        except RefusedError as refused:
            return otlp_answers.refused(refused, answered_in)
        return otlp_answers.taken(signal, taken, answered_in)

    async def _events(self, request: Request) -> Response:
        media_type = request.media_type
        preferences = (request.header(b"prefer") or "").replace(" ", "")
        is_strict = "handling=strict" in preferences

        async def take(caller: Caller, body: bytes) -> Taken:
            if media_type in _LINES:
                return await self._reception.lines(caller, body, strict=is_strict, ack=ack)
            return await self._reception.document(caller, body, strict=is_strict, ack=ack)

        try:
            _demand_type(media_type, (_JSON, *_LINES), _EVENT_TYPES, request.method)
            ack = _ack(request)
            return problems.taken(await self._taken("json", request, take))
        except RefusedError as refused:
            return problems.problem(refused)

    async def _taken(self, way: str, request: Request, take: Callable[[Caller, bytes], Awaitable[Taken]]) -> Taken:
        with answering(self._metrics, way):
            caller = await admitted(self._gatekeeper, request.credentials)
            with self._memory.lease() as lease:
                return await take(caller, await self._body(request, lease))

    async def _body(self, request: Request, lease: Lease) -> bytes:
        return await read_body(request, lease, bytes_max=self._bytes_max, deadline_s=_BODY_S)


def _ack(request: Request) -> Ack | None:
    """Return how safe the sender wants its events to be before it is answered, if it says so."""
    wanted = request.header(b"sentinel-ack")
    try:
        return None if wanted is None else Ack(wanted.strip().lower())
    except ValueError:
        known = ", ".join(Ack)
        raise RefusedError(Refusal.UNDECODABLE, f"Sentinel-Ack: must be one of {known}.") from None


def _demand_type(media_type: str, known: tuple[str, ...], allowed: str, method: str) -> None:
    if method != "POST":
        raise RefusedError(Refusal.WRONG_METHOD, "Telemetry is sent here by POST.", allowed="POST")
    if media_type not in known:
        raise RefusedError(Refusal.UNSUPPORTED_TYPE, f"The content type must be one of: {allowed}.", allowed=allowed)
