"""Settings of ingestion: what stands in its configuration file, checked in one go."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from jobs.errors import SentinelError
from jobs.ingestion.auth.gatekeeper import AuthSettings
from jobs.ingestion.buffer.settings import Ack, BufferSettings
from jobs.ingestion.tenants import TextSettings
from schemas.telemetry import Identifier
from schemas.yaml_document import read_yaml
from udfs.ingestion.absurd import Thresholds
from udfs.ingestion.rate import UNLIMITED, Limits

_MEGABYTE = 1024 * 1024


class ListenSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where telemetry comes in; null closes a way. The defaults are those of OpenTelemetry."""

    http: str | None = "127.0.0.1:4318"
    """OTLP/HTTP, the JSON interface, health, metrics and the ledger."""
    grpc: str | None = "127.0.0.1:4317"
    """OTLP/gRPC, our own service and the health service."""
    unix: str | None = None
    """A Unix socket that answers as `http` does, without TLS."""


class TlsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Certificates of the ports, as PEM files; a change needs a restart."""

    certificate: str
    key: str
    client_ca: str | None = None
    """Clients must present a certificate of this authority."""


class KafkaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where accepted telemetry goes to."""

    bootstrap_servers: str = "127.0.0.1:9092"
    telemetry_topic: str = "llm-telemetry"
    dead_letter_topic: str = "sentinel.dead-letters"
    client: dict[str, str] = {}
    """More settings of librdkafka, for encryption and authentication."""


class TopicSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A foreign topic whose records are telemetry in another dialect."""

    topic: Annotated[str, Meta(min_length=1)]
    format: Literal["json", "avro", "otlp-traces", "otlp-metrics", "otlp-logs"]
    tenant: Identifier = "default"
    group: str = "sentinel-ingestion"
    bootstrap_servers: str | None = None
    """Of another Kafka than the one that accepted telemetry goes to."""


class LimitSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What tenants may send a second; read again when the file changes."""

    default: Limits = UNLIMITED
    tenants: dict[str, Limits] = {}


class ForwardSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a sidecar sends to."""

    url: str = "http://127.0.0.1:4318"
    """Of a gateway."""
    api_key_file: str | None = None
    """A file with nothing but the key."""
    ca: str | None = None
    """The authority of the gateway's certificate, if it is none of the machine's."""


class IngestionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration file of ingestion. Paths are relative to it."""

    role: Literal["gateway", "sidecar"] = "gateway"
    listen: ListenSettings = ListenSettings()
    tls: TlsSettings | None = None
    auth: AuthSettings = AuthSettings()
    kafka: KafkaSettings = KafkaSettings()
    topics: tuple[TopicSettings, ...] = ()
    """Foreign topics that are read besides; for the gateway."""
    forward: ForwardSettings = ForwardSettings()
    """For the sidecar."""
    absurd: Thresholds = Thresholds()
    """For the sidecar."""
    buffer: BufferSettings = BufferSettings(folder=Path("ingestion"))
    ack: Ack = Ack.DURABLE
    """How safe events are when a sender is told that they were taken, unless it asks for something else."""
    limits: LimitSettings = LimitSettings()
    texts: TextSettings = TextSettings()
    home: str | None = None
    """Where `sentinel prices` keeps newer price tables; SENTINEL_HOME without it, else the folder of this file."""
    environment: str | None = None
    """Of events that name none, such as `production`."""
    request_bytes_max: Annotated[int, Meta(ge=1_024, le=64 * _MEGABYTE)] = 16 * _MEGABYTE
    """Of one request, before and after decompression; of a gRPC message at most 4 MiB."""
    memory_bytes_max: Annotated[int, Meta(ge=_MEGABYTE)] = 128 * _MEGABYTE
    """Of all requests together that are being read or handled; more are answered 503."""


def load(path: Path | None) -> IngestionSettings:
    """Return the settings in a YAML file, the defaults without one; raises SentinelError with file, place, problem."""
    if path is None:
        return IngestionSettings()
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise SentinelError(f"cannot read the configuration {path}: {error.strerror}") from None
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise SentinelError(f"the configuration {path} is not valid: {problem}") from None


def read(document: bytes) -> IngestionSettings:
    """Return the settings in a YAML document; raises ValueError with what is wrong and where."""
    raw = read_yaml(document)
    settings = msgspec.convert({} if raw is None else raw, IngestionSettings, dec_hook=_path)
    if settings.auth.certificates and (settings.tls is None or settings.tls.client_ca is None):
        raise ValueError("auth.certificates: needs tls.client_ca, or no certificate is ever asked for")
    if settings.memory_bytes_max < 2 * settings.request_bytes_max:
        raise ValueError("memory_bytes_max: must be at least twice request_bytes_max, or large requests never fit")
    if settings.topics and settings.role == "sidecar":
        raise ValueError("topics: a sidecar reads no topics; configure them at the gateway")
    if settings.listen == ListenSettings(http=None, grpc=None) and not settings.topics:
        raise ValueError("listen: every way in is closed")
    return settings


def changed(
    settings: IngestionSettings,
    *,
    bootstrap_servers: str | None,
    http: str | None,
    grpc: str | None,
    folder: Path | None,
) -> IngestionSettings:
    """Return the settings with what was given on the command line."""
    replace = msgspec.structs.replace
    if bootstrap_servers is not None:
        settings = replace(settings, kafka=replace(settings.kafka, bootstrap_servers=bootstrap_servers))
    if http is not None:
        settings = replace(settings, listen=replace(settings.listen, http=http))
    if grpc is not None:
        settings = replace(settings, listen=replace(settings.listen, grpc=grpc))
    if folder is not None:
        settings = replace(settings, buffer=replace(settings.buffer, folder=folder))
    return settings


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected {kind.__name__}")
