"""Files of plug-ins."""

from collections.abc import Iterable
from pathlib import Path

from udfs.detector import Detector
from udfs.plugins import PluginError, detectors_in


def read_plugin(path: Path) -> tuple[type[Detector], ...]:
    """Return the types of detectors that a file defines; raises PluginError if it cannot be read or defines none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PluginError(f"cannot read the plug-in {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PluginError(f"the plug-in {path} is not UTF-8 (byte {error.start})") from None
    return detectors_in(str(path), text)


def read_plugins(paths: Iterable[Path]) -> tuple[type[Detector], ...]:
    """Return the types of detectors of several files."""
    return tuple(each for path in paths for each in read_plugin(path))
