"""Server: the gRPC port."""

from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from jobs.errors import SentinelError
from jobs.ingestion.rpc.service import IngestionService
from jobs.ingestion.settings import TlsSettings

_SERVICES: Final = (
    "",
    "llmsentinel.v1.Ingestion",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
)
_STREAMS_MAX: Final = 256
"""Calls at a time on one connection; each may have a window's worth of bytes under way."""


class RpcServer:
    """The gRPC port, with the standard health service beside ours."""

    def __init__(
        self, service: IngestionService, address: str, *, tls: TlsSettings | None, folder: Path, bytes_max: int
    ) -> None:
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", bytes_max),
                ("grpc.max_concurrent_streams", _STREAMS_MAX),
                # A second process on the same port would share its connections, to the surprise of everyone.
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            )
        )
        self._server.add_generic_rpc_handlers((service,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        try:
            if tls is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, _credentials(tls, folder))
        except RuntimeError:
            raise SentinelError(f"listen.grpc: cannot listen on {address}; is the port taken?") from None

    async def start(self) -> None:
        """Begin to answer."""
        await self._server.start()

    async def say(self, *, ready: bool) -> None:
        """Tell those who ask the health service."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in _SERVICES:
            await self._health.set(name, status)

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and let those under way end within the grace."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


def _credentials(tls: TlsSettings, folder: Path) -> grpc.ServerCredentials:
    try:
        certificate = (folder / tls.certificate).read_bytes()
        key = (folder / tls.key).read_bytes()
        authority = None if tls.client_ca is None else (folder / tls.client_ca).read_bytes()
    except OSError as error:
        raise SentinelError(f"tls: cannot read {error.filename}: {error.strerror}.") from None
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=authority, require_client_auth=authority is not None
    )
