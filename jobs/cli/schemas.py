"""`sentinel schemas`: write the published schemas from the structs, or say that they are not up to date."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from jobs.detection.settings import configuration_schema
from jobs.dispatch.native_sections import native_schema
from jobs.errors import SentinelError
from schemas import json_schema
from schemas.json_schema import schema_text
from schemas.published_files import published_files

PUBLISHED: Final = Path(json_schema.__file__).parent / "published"


class Action(StrEnum):
    """What to do with the published schemas."""

    GENERATE = "generate"
    CHECK = "check"


def schemas(
    action: Annotated[Action, typer.Argument(help="`generate` writes the files, `check` fails if they would change.")],
    folder: Annotated[Path, typer.Option(help="Where the published schemas are.", file_okay=False)] = PUBLISHED,
) -> None:
    """Write or check the JSON Schema and Avro of every published record."""
    if action is Action.GENERATE:
        for path in generate(folder):
            print(path)
    else:
        check(folder)


def generate(folder: Path) -> list[Path]:
    """Write the schemas that are not up to date, remove what is no schema of ours, and return the paths of both."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = _published()
    changed = [folder / name for name in outdated(folder)]
    for path in changed:
        if path.name in wanted:
            path.write_text(wanted[path.name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def check(folder: Path) -> None:
    """Raise SentinelError if a published schema differs from what its struct says."""
    if names := outdated(folder):
        raise SentinelError(
            f"{', '.join(names)} in {folder} differ from the structs in schemas/: "
            "run `sentinel schemas generate` and look at the change, readers depend on it"
        )


def outdated(folder: Path) -> list[str]:
    """Return the names of the files in a folder that are missing, different, or no schema of ours any more."""
    wanted = _published()
    strangers = {path.name for kind in ("*.schema.json", "*.avsc") for path in folder.glob(kind)} - wanted.keys()
    differing = {name for name, text in wanted.items() if _text(folder / name) != text}
    return sorted(strangers | differing)


def _published() -> dict[str, str]:
    return published_files() | {
        "configuration.schema.json": schema_text(configuration_schema()),
        "dispatch-configuration.schema.json": schema_text(native_schema()),
    }


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
