"""What a shard has stored, as Flink would keep it."""

from collections.abc import Iterable

from udfs.journal import Journal


def keep(stored: dict[str, bytes], changes: Iterable[tuple[str, bytes | None]]) -> None:
    """Apply changes to what is stored."""
    for key, data in changes:
        if data is None:
            del stored[key]
        else:
            assert key not in stored
            stored[key] = data


def stores(stored: dict[str, bytes]) -> set[str]:
    """Return the names of the stores that have something stored."""
    return {segment.store for _, segment in Journal(stored.items()).segments()}
