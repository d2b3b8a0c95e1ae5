"""Table: the peers side by side, in Markdown. Pure."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from tests.benchmarks.peers.drain import Drain
from tests.benchmarks.peers.live import Live

COLUMNS = (
    "peer",
    "events/s (least to most)",
    "times as fast",
    "CPU s a million",
    "memory, MB",
    "p50, ms",
    "p99, ms",
    "found",
    "lost",
    "doubled",
    "state and offsets",
)
_NONE = "-"


class Row(Struct, frozen=True, kw_only=True):
    """What was measured of one peer."""

    name: str
    title: str
    way: str
    judges_calls: bool = True
    drains: tuple[Drain, ...] = ()
    live: Live | None = None
    problems: tuple[str, ...] = ()
    """Why something could not be measured."""


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, figures of drains as medians, and below it what could not be measured."""
    own = [_rate(row) for row in rows if row.name == "sentinel" and row.drains]
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    lines += [_line(_cells(row, own[0] if own else None)) for row in rows]
    problems = [f"- {row.title}: {problem}" for row in rows for problem in row.problems]
    return "\n".join([*lines, *(["", *problems] if problems else [])])


def _cells(row: Row, own: float | None) -> list[str]:
    drained = ["not measured", *[_NONE] * 4]
    found = planted = 0
    if row.drains:
        rates = [each.events_per_s for each in row.drains]
        drained = [
            f"{_rate(row):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})",
            f"{own / _rate(row):.2f}" if own else _NONE,
            f"{median(each.cpu_s_per_million for each in row.drains):.1f}",
            f"{max(each.peak_mb for each in row.drains):,.0f}",
        ]
        found, planted = sum(each.found for each in row.drains), sum(each.planted for each in row.drains)
    else:
        drained = drained[:4]
    live = [_NONE] * 4
    if row.live:
        crash = row.live.crash
        # Windows wait for their end: another question.
        delays = [f"{row.live.p50_ms:,}", f"{row.live.p99_ms:,}"] if row.judges_calls else [_NONE, _NONE]
        unreached = f" ({crash.unreached} not reached)" if crash.unreached else ""
        live = [*delays, f"{crash.lost}{unreached}", str(crash.doubled)]
    told = f"{found:,} of {planted:,}" if planted else _NONE
    return [row.title, *drained, *live[:2], told, *live[2:], row.way]


def _rate(row: Row) -> float:
    return median(each.events_per_s for each in row.drains)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
