"""The routes of the interface, and who answers when another instance leads."""

import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import httpx
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from jobs.dispatch.api.answers import RefusedError, body_of, done, found, problem, refused
from jobs.dispatch.api.own import acknowledge, dead_letters, escalate, why
from jobs.dispatch.api.posted_alerts import posted_alerts
from jobs.dispatch.api.shown_alerts import Wanted, shown_alerts, shown_groups
from jobs.dispatch.api.shown_configuration import shown_configuration
from jobs.dispatch.api.silences import (
    posted_silence,
    put_silence,
    shown_silence,
    shown_silences,
    silence_id,
    unknown_silence,
)
from jobs.dispatch.configuration import Configuration
from jobs.dispatch.engine import Engine
from jobs.dispatch.metrics import CONTENT_TYPE, Metrics
from jobs.dispatch.options import Options
from jobs.dispatch.outbox.store import StoreUnavailableError
from jobs.errors import SentinelError
from schemas.time import from_at_ms

_TAKEN_AT_ONCE: Final = 1_000
_FORWARDED: Final = "x-sentinel-forwarded"
_FORWARD_S: Final = 30.0
_VERSION: Final = "0.25.0"
"""Of Alertmanager, whose interface this is."""


class Peer(Struct, frozen=True):
    """An instance of dispatch that shares the store."""

    name: str
    address: str


class Process(Protocol):
    """What the interface has to know of the process that it belongs to."""

    options: Options
    metrics: Metrics
    configuration: Configuration
    started_at_ms: int
    leader_address: str
    """Where the instance that leads answers, as far as that is known."""

    @property
    def engine(self) -> Engine | None:
        """Of an instance that leads."""

    def is_ready(self) -> str:
        """Return why this instance cannot work now; empty if it can."""

    def peers(self) -> list[Peer]:
        """Return the instances that are known; none where there can only be one."""

    async def reload(self) -> None:
        """Read the configuration again. Raises SentinelError, the old one staying in force."""


Handler = Callable[[Engine, Request], Awaitable[Response]]


def application(process: Process) -> Starlette:
    """Return the interface of a process."""
    interface = _Interface(process)
    leading = interface.leading
    routes = [
        Route("/api/v2/status", leading(interface.status), methods=["GET"]),
        Route("/api/v2/receivers", leading(interface.receivers), methods=["GET"]),
        Route("/api/v2/alerts", leading(interface.alerts), methods=["GET", "POST"]),
        Route("/api/v2/alerts/groups", leading(interface.groups), methods=["GET"]),
        Route("/api/v2/silences", leading(interface.silences), methods=["GET", "POST"]),
        Route("/api/v2/silence/{silence_id}", leading(interface.silence), methods=["GET", "DELETE"]),
        Route("/api/v1/alerts/{fingerprint}/why", leading(why), methods=["GET"]),
        Route("/api/v1/alerts/{fingerprint}/acknowledge", leading(acknowledge), methods=["POST"]),
        Route("/api/v1/alerts/{fingerprint}/escalate", leading(escalate), methods=["POST"]),
        Route("/api/v1/notifications", leading(dead_letters), methods=["GET"]),
        Route("/-/healthy", interface.healthy, methods=["GET"]),
        Route("/-/ready", interface.ready, methods=["GET"]),
        Route("/-/reload", interface.reload, methods=["POST"]),
        Route("/metrics", interface.show_metrics, methods=["GET"]),
        Route("/", interface.front, methods=["GET"]),
    ]
    prefix = process.options.route_prefix.rstrip("/")
    return Starlette(
        routes=[Mount(prefix, routes=routes)] if prefix else routes,
        exception_handlers={HTTPException: _not_there, RefusedError: _refused},
        lifespan=interface.lifespan,
    )


class _Interface:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._client: httpx.AsyncClient | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> Any:
        """Hold the client that forwards to the leader."""
        async with httpx.AsyncClient(timeout=_FORWARD_S, trust_env=False) as self._client:
            yield

    def leading(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler that answers here if this instance leads, and at the leader's if another one does."""

        async def answer(request: Request) -> Response:
            engine = self._process.engine
            if engine is None:
                return await self._forwarded(request)
            if engine.store_refuses and request.method != "GET":
                return _unavailable(engine.store_refuses)
            try:
                return await handler(engine, request)
            except StoreUnavailableError as error:
                return _unavailable(str(error))

        return answer

    async def _forwarded(self, request: Request) -> Response:
        address = self._process.leader_address
        if not address or _FORWARDED in request.headers or self._client is None:
            return _unavailable("No instance leads at the moment; try again.")
        url = f"{address}{request.url.path}" + (f"?{request.url.query}" if request.url.query else "")
        headers = {"content-type": request.headers.get("content-type", ""), _FORWARDED: "1"}
        try:
            answer = await self._client.request(
                request.method, url, content=await request.body(), headers={k: v for k, v in headers.items() if v}
            )
        except httpx.HTTPError:
            return _unavailable(f"The instance that leads, {address}, does not answer; try again.")
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    # --- Alertmanager's -----------------------------------------------------------------------------------------------

    async def status(self, _engine: Engine, _request: Request) -> Response:
        """Show what runs, since when, with which configuration."""
        process = self._process
        peers = process.peers()
        cluster: dict[str, Any] = {"peers": [{"name": each.name, "address": each.address} for each in peers]}
        if peers:
            cluster |= {"name": peers[0].name, "status": "ready"}
        else:
            cluster["status"] = "disabled"
        version = {"branch": "", "buildDate": "", "buildUser": "", "goVersion": "", "revision": "llm-sentinel"}
        return found(
            {
                "cluster": cluster,
                "config": {"original": shown_configuration(process.configuration.original)},
                "uptime": from_at_ms(process.started_at_ms),
                "versionInfo": version | {"version": _VERSION},
            }
        )

    async def receivers(self, _engine: Engine, _request: Request) -> Response:
        """Show the names of the receivers."""
        return found([{"name": name} for name in self._process.configuration.receivers])

    async def alerts(self, engine: Engine, request: Request) -> Response:
        """Show alerts, or take some; they are in the outbox before the answer."""
        if request.method != "POST":
            return found(await shown_alerts(engine.core, Wanted(request), engine.clock()))
        body = await body_of(request, "alerts")
        now_ms = engine.clock()
        alerts, mistakes = posted_alerts(body, now_ms, classic_names=self._process.options.classic_names)
        metrics = self._process.metrics
        resolved = sum(alert.is_resolved(now_ms) for alert in alerts)
        metrics.received.labels("resolved", "v2").inc(resolved)
        metrics.received.labels("firing", "v2").inc(len(alerts) - resolved)
        metrics.invalid.labels("v2").inc(len(mistakes))
        for first in range(0, len(alerts), _TAKEN_AT_ONCE):
            part = alerts[first : first + _TAKEN_AT_ONCE]
            await engine.do(lambda at_ms, part=part: engine.core.take_alerts(part, at_ms))  # type: ignore[misc]
        if mistakes:
            raise refused("; ".join(mistakes))
        return done()

    async def groups(self, engine: Engine, request: Request) -> Response:
        """Show alerts by group."""
        return found(await shown_groups(engine.core, Wanted(request), engine.clock()))

    async def silences(self, engine: Engine, request: Request) -> Response:
        """Show silences, or make or change one."""
        if request.method != "POST":
            return found(shown_silences(engine.core, request, engine.clock()))
        body = await body_of(request, "silence")
        silence = posted_silence(body, engine.clock(), classic_names=self._process.options.classic_names)
        try:
            identity = await engine.do(lambda now_ms: put_silence(engine.core, silence, now_ms))
        except ValueError as error:
            raise refused(f"silence invalid: {error}") from None
        return found({"silenceID": identity})

    async def silence(self, engine: Engine, request: Request) -> Response:
        """Show one silence, or end it."""
        identity = silence_id(request)
        known = engine.core.dispatcher.silences.by_id.get(identity)
        if request.method == "DELETE":
            if known is None:
                raise unknown_silence()
            await engine.do(lambda now_ms: engine.core.expire_silence(identity, now_ms))
            return done()
        return Response(status_code=404) if known is None else found(shown_silence(known, engine.clock()))

    # --- Of the process -----------------------------------------------------------------------------------------------

    async def healthy(self, _request: Request) -> Response:
        """Say that the process lives."""
        return Response("OK", media_type="text/plain")

    async def ready(self, _request: Request) -> Response:
        """Say whether it can work."""
        why_not = self._process.is_ready()
        return Response(why_not or "OK", 503 if why_not else 200, media_type="text/plain")

    async def reload(self, _request: Request) -> Response:
        """Read the configuration again."""
        try:
            await self._process.reload()
        except SentinelError as error:
            return Response(f"failed to reload config: {error}\n", 500, media_type="text/plain")
        return done()

    async def show_metrics(self, _request: Request) -> Response:
        """Show the metrics."""
        return Response(self._process.metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def front(self, _request: Request) -> Response:
        """Say what this is."""
        uptime_s = int(time.time() - self._process.started_at_ms / 1_000)
        role = "leads" if self._process.engine is not None else "follows"
        text = (
            f"LLM-Sentinel alert dispatch, up for {uptime_s} s, {role}.\n"
            "/api/v2 is Alertmanager's interface (amtool, Prometheus, Grafana work with it); /metrics has metrics.\n"
        )
        return Response(text, media_type="text/plain")


def _unavailable(sentence: str) -> Response:
    answer = problem(503, 503, sentence)
    answer.headers["retry-after"] = "1"
    return answer


async def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:  # noqa: PLR2004 - HTTP's
        return problem(404, 404, f"path {request.url.path} was not found")
    headers = dict((error.headers or {}) if isinstance(error, HTTPException) else {})
    allowed = headers.get("Allow", "").replace(", ", ",")
    answer = problem(status, status, f"method {request.method} is not allowed, but [{allowed}] are")
    answer.headers.update(headers)
    return answer


async def _refused(_request: Request, error: Exception) -> Response:
    if isinstance(error, RefusedError):
        return error.answer
    raise error
