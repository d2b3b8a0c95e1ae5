"""From the `receivers` of a configuration to receivers; every mistake with its place and its reason."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from udfs.alerting.receivers.defaults import ReceiverDefaults, filled
from udfs.alerting.receivers.duration import DurationMs, duration_of
from udfs.alerting.receivers.receiver import KINDS, Channel, Receiver
from udfs.alerting.receivers.secret import Secret, secret_of

Path = tuple[str | int, ...]
_AT: Final = re.compile(r"^(?P<problem>.*?)(?: - at `(?:key in )?\$?(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<name>.*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>.*)`$")
_TRUE: Final = frozenset({"yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})
_FALSE: Final = frozenset({"no", "No", "NO", "off", "Off", "OFF", "n", "N"})


class ReceiverError(ValueError):
    """A mistake in a receiver: `path` from the place that was given, `reason` in one sentence without secrets."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path_text(path)}: {reason}")


def path_text(path: Path) -> str:
    """Return a path as people write it: `receivers[0].slack_configs[1].api_url`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def receivers_of(sections: object, defaults: ReceiverDefaults, path: Path = ("receivers",)) -> tuple[Receiver, ...]:
    """Return the receivers of a configuration in order; raises ReceiverError for the first mistake."""
    if sections is None:
        return ()
    if not isinstance(sections, Sequence) or isinstance(sections, str):
        raise ReceiverError(path, "expected a list of receivers")
    found: list[Receiver] = []
    for position, section in enumerate(sections):
        at = (*path, position)
        receiver = receiver_of(section, defaults, at)
        if any(each.name == receiver.name for each in found):
            raise ReceiverError((*at, "name"), f"the name {receiver.name} is not unique")
        found.append(receiver)
    return tuple(found)


def receiver_of(section: object, defaults: ReceiverDefaults, path: Path = ()) -> Receiver:
    """Return one receiver with all that it takes over from `global`; raises ReceiverError for the first mistake."""
    if not isinstance(section, Mapping):
        raise ReceiverError(path, "expected a receiver with a name")
    name = section.get("name")
    if not isinstance(name, str) or not name:
        raise ReceiverError((*path, "name"), "a receiver needs a name")
    labels = _decoded(section.get("labels") or {}, dict[str, str], (*path, "labels"))
    channels: list[Channel] = []
    for key, configs in section.items():
        if key in ("name", "labels"):
            continue
        kind = str(key).removesuffix("_configs")
        if not str(key).endswith("_configs") or kind not in KINDS:
            raise ReceiverError((*path, str(key)), "no key of a receiver has this name")
        if configs is None:
            continue
        if not isinstance(configs, Sequence) or isinstance(configs, str):
            raise ReceiverError((*path, str(key)), "expected a list")
        for position, config in enumerate(configs):
            at = (*path, str(key), position)
            decoded = _decoded({} if config is None else config, KINDS[kind], at)
            try:
                complete = filled(decoded, defaults)
            except ValueError as error:
                raise ReceiverError(at, str(error)) from None
            channels.append(Channel(key=f"{kind}[{position}]", kind=kind, config=complete))
    return Receiver(name=name, labels=labels, channels=tuple(channels))


def defaults_of(section: object, path: Path = ("global",)) -> ReceiverDefaults:
    """Return what `global` says of receivers, `resolve_timeout` aside; raises ReceiverError for the first mistake."""
    if isinstance(section, Mapping):
        section = {key: value for key, value in section.items() if key != "resolve_timeout"}
    return _decoded(section or {}, ReceiverDefaults, path)


@lru_cache
def _type_info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _decoded(value: object, kind: Any, path: Path) -> Any:
    try:
        return msgspec.convert(_as_written(value, _type_info(kind)), kind, dec_hook=_hook)
    except msgspec.ValidationError as error:
        steps, reason = _explained(str(error))
        raise ReceiverError((*path, *steps), reason) from None


def _hook(kind: type, value: object) -> object:
    if kind is Secret:
        return secret_of(value)
    if kind is DurationMs:
        return duration_of(value)
    raise NotImplementedError(kind)


def _explained(message: str) -> tuple[Path, str]:
    found = _AT.match(message)
    problem, steps = (found["problem"], _steps(found["path"] or "")) if found else (message, ())
    if unknown := _UNKNOWN.match(problem):
        return (*steps, unknown["name"]), "no key has this name here"
    if missing := _MISSING.match(problem):
        return (*steps, missing["name"]), "required, but missing"
    if problem.startswith("Invalid enum value"):
        return steps, "not one of the known values"
    return steps, problem[:1].lower() + problem[1:].replace("`", "")


def _steps(path: str) -> Path:
    return tuple(int(step[2]) if step[2] else step[1] for step in _STEP.finditer(path) if step[1] or step[2])


def _as_written(value: Any, wanted: inspect.Type) -> Any:
    """Return a value with scalars as the field wants them: YAML reads `1` and `true` where a text was meant.

    Nulls are left out: as upstream has it, they mean the default.
    """
    if isinstance(wanted, inspect.UnionType):
        options = [each for each in wanted.types if not isinstance(each, inspect.NoneType)]
        if isinstance(value, Mapping):
            options = [each for each in options if isinstance(each, inspect.StructType | inspect.CustomType)] or options
        return None if value is None else _as_written(value, options[0])
    if isinstance(wanted, inspect.StructType) and isinstance(value, Mapping):
        kinds = {field.encode_name: field.type for field in wanted.fields}
        return {
            str(key): _as_written(each, kinds[key]) if key in kinds else each
            for key, each in value.items()
            if each is not None or key not in kinds
        }
    if isinstance(wanted, inspect.DictType) and isinstance(value, Mapping):
        return {str(key): _as_written(each, wanted.value_type) for key, each in value.items()}
    if isinstance(wanted, inspect.VarTupleType) and isinstance(value, list | tuple):
        return [_as_written(each, wanted.item_type) for each in value]
    return _scalar(value, wanted)


def _scalar(value: Any, wanted: inspect.Type) -> Any:
    is_text = isinstance(wanted, inspect.StrType) or (isinstance(wanted, inspect.CustomType) and wanted.cls is Secret)
    if is_text and isinstance(value, bool):
        return "true" if value else "false"
    if is_text and isinstance(value, int | float):
        return str(value)
    if isinstance(wanted, inspect.BoolType) and isinstance(value, str) and value in _TRUE | _FALSE:
        return value in _TRUE
    return value
