"""What a dispatch process is told once, at its start; all else is in the configuration, which can be reloaded."""

from pathlib import Path

from msgspec import Struct

from udfs.alerting.from_anomaly import NO_LINKS, AlertLinks


class Options(Struct, frozen=True, kw_only=True):
    """How one process runs."""

    configuration: Path
    store: str
    """A folder for SQLite, or `postgresql://...`."""
    host: str = "127.0.0.1"
    port: int = 9093
    advertised: str = ""
    """The address (`host:port`) under which other instances reach this one; empty is where it listens."""
    external_url: str = ""
    """How people reach it; empty is where it listens."""
    route_prefix: str = ""
    """Path before all others, as `/alerts`."""
    bootstrap_servers: str = ""
    """Kafka; without it alerts come over HTTP alone."""
    silence_ms: int = 600_000
    """How long `sentinel.summaries` may be silent before that is an alert; 0 switches it off."""
    retention_ms: int = 432_000_000
    """How long decisions and finished notifications are kept."""
    decisions_max: int = 2_000_000
    classic_names: bool = True
    """Whether names of labels are ASCII identifiers, as before Alertmanager 0.27, or any text."""
    links: AlertLinks = NO_LINKS
    allowed_networks: tuple[str, ...] = ()
    """Internal networks that every channel may reach; more stand in the configuration, by channel or for all."""
    drain_s: float = 10.0
    """How long a stop waits for tries that are under way."""
