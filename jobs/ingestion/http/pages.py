"""Pages: what operators and load balancers read: health, readiness, metrics, the loss ledger."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from jobs.ingestion.admittance import admitted
from jobs.ingestion.auth.gatekeeper import Gatekeeper
from jobs.ingestion.http.exchange import Request, Response
from jobs.ingestion.outcome import Refusal, RefusedError
from jobs.ingestion.request_metrics import MEDIA_TYPE, RequestMetrics

PATHS: Final = ("/healthz", "/readyz", "/metrics", "/v1/ledger")


class Pages:
    """Answers to GET requests.

    `readiness` returns why telemetry cannot be taken now, empty if it can; `ledger` the account of a tenant, of all
    tenants for None.
    """

    def __init__(
        self,
        *,
        gatekeeper: Gatekeeper,
        metrics: RequestMetrics,
        readiness: Callable[[], str],
        ledger: Callable[[str | None], Any],
    ) -> None:
        self._gatekeeper = gatekeeper
        self._metrics = metrics
        self._readiness = readiness
        self._ledger = ledger

    async def response(self, request: Request) -> Response:
        """Return the page of a path; raises RefusedError where there is none."""
        if request.path not in PATHS:
            known = ", ".join(PATHS)
            raise RefusedError(
                Refusal.NOT_FOUND,
                f"Telemetry is sent to /v1/events, /v1/traces, /v1/metrics and /v1/logs; pages are {known}.",
            )
        if request.method not in {"GET", "HEAD"}:
            raise RefusedError(Refusal.WRONG_METHOD, "This is a page to be read.", allowed="GET, HEAD")
        match request.path:
            case "/healthz":
                return _json(200, {"status": "alive"})
            case "/readyz":
                problem = self._readiness()
                return _json(503, {"status": "not ready", "detail": problem}) if problem else _json(200, _READY)
            case "/metrics":
                return Response(status=200, body=self._metrics.text(), media_type=MEDIA_TYPE)
        # The ledger is the tenant's own; in the open mode everyone is every tenant.
        caller = await admitted(self._gatekeeper, request.credentials)
        return _json(200, self._ledger(None if caller.how == "open" else caller.tenant))


_READY: Final = {"status": "ready"}


def _json(status: int, document: Any) -> Response:
    return Response(status=status, body=msgspec.json.encode(document))
