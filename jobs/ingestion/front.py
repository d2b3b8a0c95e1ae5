"""Front: the ways in of one process, from the ports to the buffer."""

import logging
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from jobs.errors import SentinelError
from jobs.ingestion.auth.gatekeeper import Gatekeeper, refuse_open_to_the_world
from jobs.ingestion.buffer import Buffer
from jobs.ingestion.http.application import Application
from jobs.ingestion.http.pages import Pages
from jobs.ingestion.http.server import HttpServer, listen_tcp, listen_unix, split_address
from jobs.ingestion.ledger_page import LedgerCollector, ledger_document
from jobs.ingestion.limits import TenantLimits
from jobs.ingestion.memory import RequestMemory
from jobs.ingestion.prices import current_table, folder_of
from jobs.ingestion.reception import Reception
from jobs.ingestion.request_metrics import RequestMetrics
from jobs.ingestion.settings import IngestionSettings, LimitSettings
from jobs.ingestion.tenants import Tenants
from schemas.telemetry import TelemetryEvent
from udfs.normalise.context import HASH_KEY_BYTES_MIN
from udfs.normalise.normalised import Rejection

_SECRET_BYTES: Final = 32
_RPC_GRACE_S: Final = 5.0
_MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one gRPC message: what gRPC itself allows unless told otherwise, which exporters keep to."""
_log: Final = logging.getLogger("jobs.ingestion")


class Front:
    """Everything in front of the buffer. `folder` is that of the configuration file: paths in it are relative to it."""

    def __init__(
        self,
        settings: IngestionSettings,
        folder: Path,
        buffer: Buffer,
        *,
        complaint: Callable[[], str] = lambda: "",
        metrics: RequestMetrics | None = None,
        keep: Callable[[str, Sequence[tuple[Rejection, bytes]]], None] | None = None,
    ) -> None:
        """Open the ports. Raises SentinelError.

        `complaint` says what keeps the buffer from being emptied; `keep` takes rejected items, with their bytes.
        """
        self._settings = settings
        self._folder = folder
        self._buffer = buffer
        self._complaint = complaint
        self._draining = False
        addresses = [address for address in (settings.listen.http, settings.listen.grpc) if address]
        self._hosts = tuple(sorted({split_address(address)[0] for address in addresses}))
        refuse_open_to_the_world(settings.auth, self._hosts)
        self.gatekeeper = Gatekeeper(settings.auth, folder)
        self._metrics = metrics or RequestMetrics()
        self.memory = RequestMemory(settings.memory_bytes_max)
        self._metrics.registry.register(LedgerCollector(buffer, self.memory))
        state = folder / settings.buffer.folder
        self._home = folder / (settings.home or os.environ.get("SENTINEL_HOME") or "")
        self._tenants = Tenants(
            secret=_secret(folder, state, settings.texts.hash_secret),
            texts=settings.texts,
            prices=current_table(self._home),
            environment=settings.environment,
        )
        self.reception = Reception(
            buffer=buffer,
            limits=_limits(settings.limits),
            tenants=self._tenants,
            metrics=self._metrics,
            ack=settings.ack,
            watch=self._watch(state),
            keep=keep,
        )
        self._servers = self._new_servers()
        self._rpc = self._new_rpc()

    async def start(self) -> None:
        """Begin to answer."""
        for server in self._servers:
            await server.start()
        if self._rpc is not None:
            await self._rpc.start()
            await self._rpc.say(ready=True)
        listen = self._settings.listen
        _log.info("%s listens on http %s, grpc %s, unix %s", self._settings.role, listen.http, listen.grpc, listen.unix)
        if self._settings.auth.is_open:
            _log.warning(
                "everyone who reaches %s may send, as the tenant `default`: configure `auth` before others can",
                " and ".join(self._hosts) or "the Unix socket",
            )

    async def stop(self) -> None:
        """Take no more requests, answer those under way, and close the ports."""
        self._draining = True
        if self._rpc is not None:
            await self._rpc.stop(_RPC_GRACE_S)
        for server in self._servers:
            await server.stop()

    def reload(self, limits: LimitSettings | None) -> None:
        """Read keys and prices again, and put other limits into force. Raises SentinelError, with the previous ones."""
        prices = current_table(self._home)
        self.gatekeeper.reload()
        self._tenants.prices = prices
        if limits is not None:
            self.reception.limits = _limits(limits)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are worth a look for changes."""
        return (*self.gatekeeper.files, folder_of(self._home) / "current.json")

    @property
    def http_port(self) -> int:
        """The port of the first HTTP server."""
        return self._servers[0].port

    @property
    def grpc_port(self) -> int:
        """The port of gRPC."""
        return int(self._rpc.port)

    # ------------------------------------------------------------------------------------------------------------------

    def _watch(self, state: Path) -> Callable[[Sequence[TelemetryEvent]], None] | None:
        if self._settings.role != "sidecar":
            return None
        from jobs.ingestion.sidecar.absurd_calls import AbsurdCalls  # noqa: PLC0415

        return AbsurdCalls(self._settings.absurd, state / "absurd.jsonl", self._metrics).look_at

    def _new_servers(self) -> list[HttpServer]:
        settings = self._settings
        application = Application(
            reception=self.reception,
            gatekeeper=self.gatekeeper,
            memory=self.memory,
            pages=Pages(
                gatekeeper=self.gatekeeper,
                metrics=self._metrics,
                readiness=self._readiness,
                ledger=lambda tenant: ledger_document(self._buffer.accounts(), tenant),
            ),
            metrics=self._metrics,
            bytes_max=settings.request_bytes_max,
        )
        servers = []
        if settings.listen.http is not None:
            listening = listen_tcp(settings.listen.http)
            servers.append(HttpServer(application, listening, tls=settings.tls, folder=self._folder))
        if settings.listen.unix is not None:
            listening = listen_unix(self._folder / settings.listen.unix)
            servers.append(HttpServer(application, listening, tls=None, folder=self._folder))
        return servers

    def _new_rpc(self) -> Any:
        settings = self._settings
        if settings.listen.grpc is None:
            return None
        # gRPC takes ten megabytes, for those alone who use it.
        from jobs.ingestion.rpc.server import RpcServer  # noqa: PLC0415
        from jobs.ingestion.rpc.service import IngestionService  # noqa: PLC0415

        bytes_max = min(settings.request_bytes_max, _MESSAGE_BYTES_MAX)
        service = IngestionService(
            reception=self.reception,
            gatekeeper=self.gatekeeper,
            memory=self.memory,
            metrics=self._metrics,
            bytes_max=bytes_max,
        )
        return RpcServer(
            service,
            settings.listen.grpc,
            tls=settings.tls,
            folder=self._folder,
            bytes_max=bytes_max,
        )

    def _readiness(self) -> str:
        if self._draining:
            return "the process is being stopped"
        state = self._buffer.state()
        is_disk_full = state.disk_bytes >= self._settings.buffer.disk_bytes
        is_memory_full = state.memory_bytes >= self._settings.buffer.memory_bytes
        if is_memory_full and (is_disk_full or state.disk_problem):
            return f"the buffer is full: {self._complaint() or state.disk_problem or 'it is emptied too slowly'}"
        return ""


def _limits(settings: LimitSettings) -> TenantLimits:
    return TenantLimits(settings.tenants, settings.default)


def _secret(folder: Path, state: Path, file: str | None) -> bytes:
    """Return what tenants' keys for hashes are made from: read from a file, or made once and kept beside the buffer."""
    path = folder / file if file else state / "hash.secret"
    try:
        if not file and not path.exists():
            path.touch(0o600, exist_ok=False)
            path.write_bytes(secrets.token_bytes(_SECRET_BYTES))
        secret = path.read_bytes()
    except OSError as error:
        raise SentinelError(f"cannot use the secret for hashes in {path}: {error.strerror}.") from None
    if len(secret) < HASH_KEY_BYTES_MIN:
        raise SentinelError(
            f"the secret for hashes in {path} has {len(secret)} bytes, fewer than {HASH_KEY_BYTES_MIN}."
        )
    return secret
