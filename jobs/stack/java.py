"""The Java virtual machine that runs Kafka and Flink."""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from jobs.errors import SentinelError

_WANTED: Final = "17"
_ADVICE: Final = "install JDK 17 (Debian: apt-get install openjdk-17-jdk-headless) or point JAVA_HOME at one."


def find_java() -> str:
    """Return the path of `java` of a JDK 17, from JAVA_HOME or the PATH; raise and say what is missing otherwise."""
    java_home = os.environ.get("JAVA_HOME")
    found = str(Path(java_home, "bin", "java")) if java_home else shutil.which("java")
    if found is None or not Path(found).is_file():
        raise SentinelError(f"There is no java {'in JAVA_HOME' if java_home else 'on the PATH'}: {_ADVICE}")
    java = Path(found).resolve()
    # A JDK says its version in a file; asking the program would cost a start of it.
    release = java.parents[1] / "release"
    version = re.search(r'JAVA_VERSION="(\d+)', release.read_text()) if release.is_file() else None
    if version is not None and version[1] != _WANTED:
        raise SentinelError(f"{found} is Java {version[1]}, and the stack needs {_WANTED}: {_ADVICE}")
    return str(java)
