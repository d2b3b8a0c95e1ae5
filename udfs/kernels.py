"""Kernels: small pure functions over float arrays, compiled by numba, and where their machine code is kept.

Machine code is kept in `NUMBA_CACHE_DIR` (else beside the sources), in one folder for each digest of the sources that
kernels are made of: numba notices a change in a function, not in one that it calls nor in a constant it imports.
`NUMBA_DISABLE_JIT=1` runs kernels as plain Python, for debugging and coverage.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.abc import InspectLoader
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Function = TypeVar("Function", bound=Callable[..., Any])

_CONFIG: Any = numba.config
_PACKAGE = Path(__file__).parent
_CACHE = Path(_CONFIG.CACHE_DIR or _PACKAGE / "__pycache__")
_IMPORT = re.compile(rb"^\s*from (udfs[.\w]*) import|^\s*import (udfs[.\w]*)", re.MULTILINE)


def kernel(function: Function) -> Function:
    """Compile a function on its first call and keep the machine code; strict IEEE arithmetic, one thread.

    A division by zero gives an infinity or NaN, as in numpy. Of a plug-in that came as a text only the loops that its
    kernels are compiled into are kept.
    """
    return _compiled(function, function.__module__, is_kept=_has_file(function.__module__))


def specialise(template: Callable[..., Any], name: str, parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """Return a compiled copy of a plain function in which the global names of `parts` mean other kernels.

    The machine code is found again by later processes under `name`, which must therefore tell apart all copies of one
    template. (A closure would do the same but for that: numba identifies its cell contents by process.)
    """
    plain = cast("FunctionType", template)
    copy = FunctionType(plain.__code__, plain.__globals__ | dict(parts), plain.__name__, plain.__defaults__)
    copy.__module__ = plain.__module__
    copy.__qualname__ = f"{plain.__qualname__}_{name}"
    # The digest of the parts' package covers this package too.
    owners = {part.__module__.partition(".")[0] for part in parts.values()} - {"udfs"}
    return _compiled(copy, min(owners, default=plain.__module__), is_kept=True)


def _compiled(function: Function, module: str, *, is_kept: bool) -> Function:
    # Numba reads this setting when the function is wrapped, not when it is compiled.
    _CONFIG.CACHE_DIR = str(_CACHE / f"kernels-{_digest(module.partition('.')[0])}")
    return cast("Function", numba.njit(cache=is_kept, error_model="numpy", fastmath=False, parallel=False)(function))


@cache
def _digest(package: str) -> str:
    """Return a digest of the sources of this package's kernels and, for a plug-in, of all sources of its package."""
    hasher = hashlib.sha256()
    for source in _own_sources():
        hasher.update(source.read_bytes())
    if package != "udfs":
        file = getattr(sys.modules.get(package), "__file__", None)
        if file is None:
            hasher.update(_text_of(package).encode())
        else:
            sources = sorted(Path(file).parent.rglob("*.py")) if Path(file).name == "__init__.py" else [Path(file)]
            for source in sources:
                hasher.update(source.read_bytes())
    return hasher.hexdigest()[:16]


def _has_file(module: str) -> bool:
    return getattr(sys.modules.get(module), "__file__", None) is not None


def _text_of(module: str) -> str:
    """Return the text of a module that was loaded from one; empty if it is not known."""
    loader = getattr(getattr(sys.modules.get(module), "__spec__", None), "loader", None)
    return (loader.get_source(module) or "") if isinstance(loader, InspectLoader) else ""


def _own_sources() -> list[Path]:
    """Return the modules of this package that define kernels, and those they import: constants are compiled in."""
    texts = {source: source.read_bytes() for source in _PACKAGE.rglob("*.py")}
    pending = [source for source, text in texts.items() if b"@kernel" in text or source == Path(__file__)]
    found: set[Path] = set()
    while pending:
        source = pending.pop()
        if source in found:
            continue
        found.add(source)
        for names in _IMPORT.findall(texts[source]):
            path = _PACKAGE.parent.joinpath(*b"".join(names).decode().split("."))
            pending.extend(each for each in (path.with_suffix(".py"), path / "__init__.py") if each in texts)
    return sorted(found)
