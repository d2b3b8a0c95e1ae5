"""The price table in force: the one that ships with the product, or a newer one that was put in its place."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from jobs.errors import SentinelError
from udfs.prices.document import PriceDocument, read_document, updated
from udfs.prices.table import PriceTable

SHIPPED: Final = Path(__file__).parent / "price_table" / "prices.json"


def folder_of(home: Path) -> Path:
    """Return where price tables of an installation are kept: `current.json`, and all earlier ones in `history`."""
    return home / "prices"


def current(home: Path) -> PriceDocument:
    """Return the document in force. Raises SentinelError if it cannot be read."""
    own = folder_of(home) / "current.json"
    return read_file(own if own.exists() else SHIPPED)


def current_table(home: Path) -> PriceTable:
    """Return the price table in force. Raises SentinelError if it cannot be read."""
    return current(home).table()


def read_file(path: Path) -> PriceDocument:
    """Return the document of a file. Raises SentinelError that says what is wrong with it and where."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SentinelError(f"cannot read prices from {path}: {error.strerror}") from None
    return document_of(data, str(path))


def put_into_force(home: Path, document: PriceDocument) -> Path:
    """Put a document in the place of the one in force, which stays in the history, and return its path.

    What a model cost before the document's day stays known. The file changes in one step: whoever reads it meanwhile
    has the old one or the new one. Raises SentinelError for a document older than the one in force.
    """
    before = current(home)
    if document.as_of < before.as_of:
        problem = f"the prices are of {document.as_of}, older than those in force ({before.as_of}): nothing changed"
        raise SentinelError(problem)
    folder = folder_of(home)
    try:
        (folder / "history").mkdir(parents=True, exist_ok=True)
        _write(folder / "history" / f"{before.as_of}-until-{document.as_of}.json", before)
        path = folder / "current.json"
        _write(path, updated(before, document))
    except OSError as error:
        raise SentinelError(f"cannot write prices to {folder}: {error.strerror}") from None
    return path


def history(home: Path) -> Iterator[Path]:
    """Yield the files of earlier tables, the oldest first."""
    yield from sorted((folder_of(home) / "history").glob("*.json"))


def document_of(data: bytes, source: str) -> PriceDocument:
    """Return the document that bytes hold; one that does not say of when it is, is of today."""
    try:
        return read_document(data, as_of=datetime.now(UTC).date().isoformat(), source=source)
    except ValueError as error:
        raise SentinelError(f"{source} is no price table: {error}") from None


def _write(path: Path, document: PriceDocument) -> None:
    """Write a file whole or not at all, safe against a crash at any moment."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(document), indent=1))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
