"""Environment: one for each peer, made by uv from its requirements, with Java archives where it has a `pom.xml`."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Final

from jobs.errors import SentinelError
from jobs.stack.java import find_java
from jobs.stack.layout import PROJECT, VENV

HERE: Final = Path(__file__).parent
_STEP_S: Final = 900.0


def environment_of(peer: str) -> Path:
    """Return the environment of a peer, made if it is not there or its requirements have changed.

    Raises SentinelError with what the installer says last if it cannot be made.
    """
    requirements, pom = HERE / peer / "requirements.txt", HERE / peer / "pom.xml"
    wanted = hashlib.sha256(b"".join(each.read_bytes() for each in (requirements, pom) if each.exists())).hexdigest()
    folder = PROJECT / ".sentinel" / "peers" / peer
    stamp = folder / ".made-from"
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    uv, python = str(VENV / "bin" / "uv"), str(folder / "bin" / "python")
    _run(peer, [uv, "venv", "--quiet", "--clear", "--python", str(VENV / "bin" / "python"), str(folder)])
    _run(peer, [uv, "pip", "install", "--quiet", "--python", python, "--requirement", str(requirements)])
    if pom.exists():
        fetch = ["dependency:copy-dependencies", f"-DoutputDirectory={archives_of(folder)}"]
        _run(peer, ["mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom), *fetch])
    stamp.write_text(wanted)
    return folder


def archives_of(environment: Path) -> Path:
    """Return the folder of the Java archives of an environment."""
    return environment / "archives"


def variables(environment: Path) -> dict[str, str]:
    """Return the environment variables of a peer's processes."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    return kept | {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # Peers share what they judge by with each other, and nothing with the product.
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        "JAVA_HOME": str(Path(find_java()).parents[1]),
    }


def version_of(peer: str) -> str:
    """Return the first requirement of a peer, which is the peer: `bytewax 0.21.1`."""
    name, _, version = (HERE / peer / "requirements.txt").read_text().split()[0].partition("==")
    return f"{name.partition('[')[0]} {version}"


def _run(peer: str, argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_STEP_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SentinelError(f"{peer} cannot be installed: {error}") from None
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise SentinelError(f"{peer} cannot be installed: {' '.join(said[:2]) or 'no reason given'}")
