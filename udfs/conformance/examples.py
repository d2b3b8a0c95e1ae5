"""Examples: configurations of a type of detector with which its laws are tried when there is no other."""

import msgspec

from udfs.detector import Detector
from udfs.plugins import PluginError

_PLACES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "series": (("event", ("latency_ms",)), ("10s", ("latency_ms_mean",))),
    "vector": (
        ("event", ("latency_ms", "completion_tokens", "cost_usd")),
        ("1m", ("latency_ms_mean", "completion_tokens_mean", "cost_usd_mean")),
    ),
    "silence": (("10s", ("calls_per_s",)),),
}
_WARNING = 5.0


def examples_of(kind: type[Detector]) -> tuple[Detector, ...]:
    """Return a detector of this type for each place where it can watch, with its own defaults where it has them.

    Raises PluginError if it demands parameters that only its author can choose.
    """
    tag = str(kind.__struct_config__.tag)
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    unknown = sorted(required - {"detector_id", "on", "metrics", "warning"})
    if unknown:
        raise PluginError(
            f"detector type {tag!r} has no default for {unknown[0]!r}; give a configuration of it by --config"
        )
    found, problem = [], ""
    for on, metrics in _PLACES[kind.form]:
        given: dict[str, object] = {"type": tag, "detector_id": f"example-{on}", "on": on, "metrics": metrics}
        if "warning" in required:
            given["warning"] = _WARNING
        try:
            found.append(msgspec.convert(given, kind))
        except msgspec.ValidationError as error:
            problem = str(error)
    if not found:
        raise PluginError(f"no example of detector type {tag!r} is valid ({problem}); give a configuration by --config")
    return tuple(found)
