"""`sentinel keys`: API keys for ingestion."""

import os
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from jobs.errors import SentinelError
from jobs.ingestion.auth.api_keys import ApiKey, new_key, read_keys, write_keys
from schemas.time import from_at_ms

keys = typer.Typer(no_args_is_help=True, help="Make, list and disable API keys; docs/ingestion.md says what for.")

KeyFile = Annotated[Path, typer.Option("--file", help="The file that `auth.keys` of the configuration names.")]
_DAY_MS = 86_400_000


@keys.command("new")
def new(
    tenant: Annotated[str, typer.Argument(help="Whose telemetry is sent with the key.")],
    file: KeyFile = Path("keys.yaml"),
    note: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="For how many days it is good; for ever without it.")] = None,
) -> None:
    """Make a key, add its hash to the file, and print the key: it is shown this once."""
    known = _read(file)
    expires_at = None if days is None else from_at_ms(int(time.time() * 1_000) + days * _DAY_MS)
    key, record = new_key(tenant, note=note, expires_at=expires_at)
    _write(file, (*known, record))
    print(key)


@keys.command("list")
def listing(file: KeyFile = Path("keys.yaml")) -> None:
    """List the keys in the file."""
    console = Console(highlight=False, soft_wrap=True)
    for key in _read(file):
        state = "disabled" if key.disabled else f"until {key.expires_at}" if key.expires_at else "in force"
        console.print(f"{key.id}  {key.tenant}  {state}  {key.note or ''}".rstrip())


@keys.command("disable")
def disable(
    key_id: Annotated[str, typer.Argument(help="The id: the middle part of the key.")],
    file: KeyFile = Path("keys.yaml"),
) -> None:
    """Disable a key. A running ingestion sees it within seconds."""
    known = _read(file)
    if all(key.id != key_id for key in known):
        raise SentinelError(f"There is no key {key_id} in {file}.")
    changed = tuple(msgspec.structs.replace(key, disabled=True) if key.id == key_id else key for key in known)
    _write(file, changed)


def _read(file: Path) -> tuple[ApiKey, ...]:
    try:
        return read_keys(file.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SentinelError(f"cannot read {file}: {error.strerror}.") from None
    except ValueError as error:
        raise SentinelError(f"{file} is not valid: {' '.join(str(error).split())}.") from None


def _write(file: Path, known: tuple[ApiKey, ...]) -> None:
    """Replace the file in one step: a running ingestion never reads half of it."""
    draft = file.with_name(file.name + ".new")
    try:
        draft.touch(0o600)
        with draft.open("wb") as out:
            out.write(write_keys(known))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        raise SentinelError(f"cannot write {file}: {error.strerror}.") from None
