"""A timeline: alerts, acknowledgements and silences at times that a person has made up, to see who would be told."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from jobs.dispatch.configuration import ConfigurationError
from jobs.dispatch.text_file import read_text
from jobs.dispatch.yaml_node import NodeError, document
from jobs.errors import SentinelError
from schemas.time import Instant

Elapsed = Annotated[str, Meta(pattern=r"^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$")]
"""Time since the start of the timeline, or a length of time, as `90s` or `1h30m`."""
Labels = Annotated[dict[str, str], Meta(min_length=1)]


class Happening(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that happens; exactly one of the first seven is given."""

    at: Elapsed
    fire: Labels | None = None
    """An alert with these labels begins to fire."""
    resolve: Labels | None = None
    """Every alert that has these labels, among others, ends."""
    acknowledge: Labels | None = None
    """Somebody takes on the groups of the alerts that have these labels."""
    escalate: Labels | None = None
    """Somebody wants the next step of their chains at once."""
    silence: tuple[str, ...] | None = None
    """Alerts that fulfil these matchers are silenced for `duration`."""
    unsilence: bool = False
    """All silences that the timeline has made end."""
    restart: bool = False
    """The process ends and another goes on from what was kept."""
    by: str = "somebody"
    duration: Elapsed | None = None
    """How long a silence, or an acknowledgement, lasts."""


class Timeline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens from a start until an end, and what is expected of it, if anything is."""

    start: Instant = "2026-11-02T09:00:00Z"
    until: Elapsed
    timeline: Annotated[tuple[Happening, ...], Meta(min_length=1)]
    expect: tuple[str, ...] | None = None
    """The lines of the simulation, in order; the command fails if there are others."""


def load_timeline(file: Path) -> Timeline:
    """Return the timeline in a file; raises SentinelError naming file, line and problem."""
    try:
        root = document(read_text(file))
    except NodeError as mistake:
        raise ConfigurationError(str(file), mistake) from None
    try:
        timeline = msgspec.convert({} if root is None else root.core(), Timeline)
    except msgspec.ValidationError as error:
        raise SentinelError(f"{file} is no timeline: {error}") from None
    for number, each in enumerate(timeline.timeline):
        given = (each.fire, each.resolve, each.acknowledge, each.escalate, each.silence)
        if sum(value is not None for value in given) + each.unsilence + each.restart != 1:
            raise SentinelError(
                f"{file} is no timeline: timeline[{number}]: give exactly one of fire, resolve, acknowledge, escalate, "
                "silence, unsilence and restart"
            )
        if each.silence is not None and each.duration is None:
            raise SentinelError(f"{file} is no timeline: timeline[{number}]: a silence needs a duration")
    return timeline


def elapsed_ms(text: str) -> int:
    """Return a length of time in milliseconds."""
    total, number = 0, ""
    for character in text:
        if character.isdigit():
            number += character
        else:
            total += int(number) * {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}[character]
            number = ""
    return total


def elapsed_text(length_ms: int) -> str:
    """Return a length of time as people write it: `1h30m`, `0s`."""
    parts = []
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if length_ms >= unit_ms:
            parts.append(f"{length_ms // unit_ms}{unit}")
            length_ms %= unit_ms
    if length_ms or not parts:
        parts.append(f"{length_ms / 1_000:g}s")
    return "".join(parts)
