"""Plug-ins: detectors of a user's own, defined by the text of one Python file.

The text travels with the detectors it defines: a pickled detector holds it, so a process that never saw the file, such
as a TaskManager, has the detector once it has read the settings of the job.
"""

import copyreg
import re
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.abc import InspectLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from msgspec.structs import asdict
from numba.core.errors import NumbaError

from udfs.detector import Detector, Kernels
from udfs.driver import Driver

_PREFIX = "llm_sentinel_plugin_"


class PluginError(ValueError):
    """A file that defines no usable detector; the message is a sentence that says where, what, and what to do."""


def detectors_in(name: str, text: str) -> tuple[type[Detector], ...]:
    """Return the types of detectors that a plug-in's text defines, in the order of their tags.

    `name` is what the file is called in messages. The text is run once per process, whatever its name. Types whose
    names begin with an underscore are left out. Raises PluginError if the text cannot be run or defines none.
    """
    # Named by content: a process that runs two versions, one job after another, must not mix them up.
    module_name = _PREFIX + sha256(text.encode()).hexdigest()[:16]
    module = sys.modules.get(module_name) or _run(module_name, name, text)
    found = sorted(
        (each for each in vars(module).values() if _is_own(each, module_name)),
        key=lambda each: str(each.__struct_config__.tag),
    )
    if not found:
        raise PluginError(
            f"plug-in {name} defines no detector; define a subclass of udfs.detector.Detector as "
            "docs/adding-a-detector.md shows"
        )
    for each in found:
        if not isinstance(getattr(each, "kernels", None), Kernels):
            raise PluginError(
                f"plug-in {name}: {each.__name__} has no `kernels`; set them to udfs.detector.Kernels(...)"
            )
        copyreg.pickle(each, _reduced)
    return tuple(found)


def _is_own(candidate: object, module_name: str) -> bool:
    return (
        isinstance(candidate, type)
        and issubclass(candidate, Detector)
        and candidate.__module__ == module_name
        and not candidate.__name__.startswith("_")
    )


class _Text(InspectLoader):
    """Loads a module from a text, and has that text for tracebacks and for the digest of its kernels."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def get_source(self, fullname: str) -> str:  # noqa: ARG002 - a loader's signature
        return self.text

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - a loader's signature
        return self.source_to_code(self.text, self.name)


def _run(module_name: str, name: str, text: str) -> ModuleType:
    spec = spec_from_loader(module_name, _Text(name, text), origin=name)
    if spec is None or spec.loader is None:  # pragma: no cover - a loader was given
        raise PluginError(f"plug-in {name} cannot be loaded")
    module = module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - whatever a user's text raises
        del sys.modules[module_name]
        raise PluginError(complaint(name, error)) from None
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def complaint(name: str, error: Exception) -> str:
    """Return what went wrong in a plug-in's text as a sentence with the place, for one who is going to repair it."""
    problem = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, SyntaxError):
        return f"plug-in {name}, line {error.lineno}: {error.msg}; correct the syntax"
    if isinstance(error, ModuleNotFoundError):
        return (
            f"plug-in {name}, line {_line(name, error.__traceback__)}: there is no module {error.name!r}; a plug-in is "
            "one file, and what it imports must be installed wherever the job runs"
        )
    return f"plug-in {name}, line {_line(name, error.__traceback__)}: {type(error).__name__}: {problem}"


def compiled(detector: Detector, names: Sequence[str]) -> Driver:
    """Return the driver of a plug-in's detector, its kernels compiled, for values with these names.

    Raises PluginError where the plug-in is at fault.
    """
    kind = type(detector)
    spec = sys.modules[kind.__module__].__spec__
    file = spec.origin if spec and spec.origin else kind.__module__
    try:
        return Driver(detector, names)
    except NumbaError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        problem = next((line for line in lines if not line.startswith(("Failed in", "During:"))), "it does not compile")
        places = re.findall(r'File "([^"]+)", line (\d+)', str(error))
        at = next((f", line {line}" for where, line in reversed(places) if Path(where).name == Path(file).name), "")
        raise PluginError(
            f"plug-in {file}{at}: the kernels of {kind.__name__} do not compile: {problem}; kernels may use floats, "
            "arrays and the functions of math and numpy that numba knows"
        ) from None
    except NotImplementedError:
        raise PluginError(
            f"plug-in {file}: {kind.__name__} must define the property state_width and the method parameters"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever a user's text raises
        raise PluginError(complaint(file, error)) from None


def _line(name: str, traceback: TracebackType | None) -> int:
    """Return the last line of the file that a traceback goes through."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == name:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _reduced(detector: Detector) -> tuple[Any, ...]:
    """Return how a plug-in's detector is pickled: by the text that defines its type."""
    kind = type(detector)
    spec = sys.modules[kind.__module__].__spec__
    loader = spec.loader if spec else None
    if not isinstance(loader, _Text):  # pragma: no cover - only types of `detectors_in` are registered
        raise TypeError(f"{kind.__name__} is defined by no plug-in")
    return _restored, (loader.name, loader.text, kind.__name__, asdict(detector))


def _restored(name: str, text: str, kind: str, fields: dict[str, Any]) -> Detector:
    detectors = {each.__name__: each for each in detectors_in(name, text)}
    return detectors[kind](**fields)
