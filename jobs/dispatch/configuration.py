"""The configuration of dispatch: an unmodified `alertmanager.yml`, read as Alertmanager 0.25 to 0.34 documents it."""

from glob import glob
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jobs.dispatch.inhibit_section import inhibit_rule
from jobs.dispatch.interval_section import named_intervals
from jobs.dispatch.route_section import duration_ms, root_route
from jobs.dispatch.text_file import read_text
from jobs.dispatch.yaml_node import Node, NodeError, document
from jobs.errors import SentinelError
from schemas.alert import AlertDefinition
from udfs.alerting.interval import TimeInterval
from udfs.alerting.receivers.decoding import ReceiverError, defaults_of, path_text, receivers_of
from udfs.alerting.receivers.defaults import ReceiverDefaults
from udfs.alerting.receivers.receiver import Receiver
from udfs.alerting.settings import RESOLVE_TIMEOUT_MS, Channel, DispatchSettings

_KEYS: Final = (
    "global",
    "route",
    "inhibit_rules",
    "receivers",
    "templates",
    "mute_time_intervals",
    "time_intervals",
    "tracing",
    "event_recorder",
)
_UNUSED: Final = ("tracing", "event_recorder")


class Configuration(Struct, frozen=True, kw_only=True):
    """What a file says, every default filled in."""

    settings: DispatchSettings
    receivers: dict[str, Receiver]
    defaults: ReceiverDefaults = ReceiverDefaults()
    """What `global` says of receivers."""
    templates: tuple[str, ...] = ()
    """Patterns of files with templates, absolute."""
    warnings: tuple[str, ...] = ()
    """What is accepted and has no effect, one sentence each."""
    definitions: tuple[AlertDefinition, ...] = ()
    """What a native configuration makes alerts of."""
    original: str = ""
    """The text it was read from; it may hold secrets."""

    def template_files(self) -> tuple[Path, ...]:
        """Return the files that the patterns find now, in order."""
        return tuple(Path(each) for pattern in self.templates for each in sorted(glob(pattern)))  # noqa: PTH207 - absolute


class ConfigurationError(SentinelError):
    """A configuration that cannot be used, with file, line, path and reason in one sentence."""

    def __init__(self, source: str, mistake: NodeError) -> None:
        self.line = mistake.line
        self.path = path_text(mistake.path)
        self.reason = mistake.reason
        where = f"{source}, line {self.line}"
        super().__init__(f"{where}: {self.path}: {self.reason}" if self.path else f"{where}: {self.reason}")


def load(file: Path) -> Configuration:
    """Return the configuration in a file. Raises ConfigurationError, or SentinelError if it cannot be read."""
    return parse(read_text(file), str(file), file.parent)


def parse(text: str, source: str, folder: Path) -> Configuration:
    """Return the configuration in a text; file names in it are relative to the folder. Raises ConfigurationError."""
    try:
        return replace(configuration_of(document(text), folder), original=text)
    except NodeError as mistake:
        raise ConfigurationError(source, mistake) from None


def configuration_of(root: Node | None, folder: Path) -> Configuration:
    """Return the configuration that a mapping is; raises NodeError for the first mistake in it."""
    if root is None:
        raise NodeError((), 1, "there is nothing in it; at least a route and its receiver are wanted")
    fields = root.fields(_KEYS)
    defaults, receivers = _receivers(root, fields)
    intervals: dict[str, tuple[TimeInterval, ...]] = {}
    for name in ("mute_time_intervals", "time_intervals"):
        if name in fields:
            named_intervals(fields[name], intervals)
    if "route" not in fields:
        raise root.mistake("there is no route; at least a route and its receiver are wanted")
    route = root_route(fields["route"], receivers, intervals)
    rules = tuple(inhibit_rule(each) for each in _items(fields, "inhibit_rules"))
    templates = tuple(str(folder.absolute() / each.text()) for each in _items(fields, "templates") if each.text())
    unused = tuple(f"{name} is accepted but has no effect" for name in _UNUSED if name in fields)
    return Configuration(
        settings=DispatchSettings(
            route=route,
            receivers={name: channels_of(receiver) for name, receiver in receivers.items()},
            inhibit_rules=rules,
            intervals=intervals,
            resolve_timeout_ms=_resolve_timeout_ms(fields.get("global")),
        ),
        receivers=receivers,
        defaults=defaults,
        templates=templates,
        warnings=tuple(unused),
    )


def channels_of(receiver: Receiver) -> tuple[Channel, ...]:
    """Return what deciding knows of the ways to a receiver."""
    return tuple(Channel(each.key, each.send_resolved) for each in receiver.channels)


def _receivers(root: Node, fields: dict[str, Node]) -> tuple[ReceiverDefaults, dict[str, Receiver]]:
    sections, defined = (fields[name].plain() if name in fields else None for name in ("receivers", "global"))
    try:
        defaults = defaults_of(defined)
        receivers = receivers_of(sections, defaults)
    except ReceiverError as error:
        raise NodeError(error.path, root.at(error.path).line, error.reason) from None
    return defaults, {receiver.name: receiver for receiver in receivers}


def _resolve_timeout_ms(node: Node | None) -> int:
    field = node.pairs().get("resolve_timeout") if node is not None else None
    return RESOLVE_TIMEOUT_MS if field is None or field.plain() is None else duration_ms(field)


def _items(fields: dict[str, Node], name: str) -> list[Node]:
    return fields[name].items() if name in fields else []
