"""Readers of the public trace formats, packaged excerpts or a user's own files, plain or gzip."""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import numpy as np

from jobs.errors import SentinelError
from jobs.replay.arrivals import F64, I64, MISSING, Recorded, Renewal, Workload

TRACES = Path(__file__).parent / "traces"
"""The packaged excerpts; `README.md` there names sources and licences."""

_PREFIX_BLOCK_TOKENS = 512
_MINUTE_MS = 60_000.0


class TraceKind(StrEnum):
    """Format of a trace file."""

    AZURE = "azure"
    """CSV: TIMESTAMP, ContextTokens, GeneratedTokens (Azure LLM inference trace)."""
    MOONCAKE = "mooncake"
    """JSON lines: timestamp (ms), input_length, output_length, hash_ids of 512-token prefix blocks."""
    SERVEGEN = "servegen"
    """CSV: client, start_s, rate, cv, pattern; token quantiles in a second file, `NAME-tokens.csv`."""


class TraceError(SentinelError):
    """A trace file cannot be used; the message says which line, why, and what to do."""


def read_trace(path: Path, kind: TraceKind) -> tuple[Workload, ...]:
    """Return the workloads of a file: one for a recorded trace, one a client for servegen.

    Raises TraceError with a sentence naming file and line.
    """
    if not path.is_file():
        raise TraceError(f"There is no trace file {path}: check the path.")
    match kind:
        case TraceKind.AZURE:
            return (read_azure(path),)
        case TraceKind.MOONCAKE:
            return (read_mooncake(path),)
        case TraceKind.SERVEGEN:
            return read_servegen(path)


def read_azure(path: Path) -> Recorded:
    """Return the requests of an Azure LLM inference trace (Patel et al., Splitwise, 2024)."""
    arrived_ms, prompt, completion = [], [], []
    for line, row in _csv_rows(path, ("TIMESTAMP", "ContextTokens", "GeneratedTokens")):
        try:
            # 100 ns digits, and a zone in newer files: microseconds are more than enough.
            arrived_ms.append(datetime.fromisoformat(row["TIMESTAMP"][:26] + "+00:00").timestamp() * 1000.0)
            prompt.append(int(row["ContextTokens"]))
            completion.append(int(row["GeneratedTokens"]))
        except ValueError as error:
            raise _bad_line(path, line, error) from None
    return _recorded(path, arrived_ms, prompt, completion, [MISSING] * len(prompt))


def read_mooncake(path: Path) -> Recorded:
    """Return the requests of a Mooncake trace (Qin et al., 2025); prefix blocks seen before count as cached.

    Arrivals there are rounded to some seconds; requests of one moment are spread evenly up to the next.
    """
    arrived_ms, prompt, completion, cached = [], [], [], []
    seen: set[int] = set()
    for line, text in _lines(path):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            blocks = row.get("hash_ids", [])
            shared = next((i for i, block in enumerate(blocks) if block not in seen), len(blocks))
            seen.update(blocks)
            arrived_ms.append(float(row["timestamp"]))
            prompt.append(int(row["input_length"]))
            completion.append(int(row["output_length"]))
            cached.append(min(shared * _PREFIX_BLOCK_TOKENS, prompt[-1]))
        except KeyError as error:
            raise _bad_line(path, line, f"the field {error} is missing") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise _bad_line(path, line, error) from None
    return _recorded(path, _spread(arrived_ms), prompt, completion, cached)


def read_servegen(path: Path) -> tuple[Renewal, ...]:
    """Return a workload for every client of a ServeGen pool that has both calls and token quantiles."""
    stem = path.name.removesuffix(".gz").removesuffix(".csv")
    beside = [path.with_name(f"{stem}-tokens.csv{suffix}") for suffix in (".gz", "")]
    tokens_path = next((candidate for candidate in beside if candidate.is_file()), None)
    if tokens_path is None:
        raise TraceError(f"The token quantiles of {path} are missing: put {stem}-tokens.csv beside it.")
    rates: dict[str, list[tuple[float, float, float, bool]]] = {}
    for line, row in _csv_rows(path, ("client", "start_s", "rate", "cv", "pattern")):
        try:
            window = (float(row["start_s"]), float(row["rate"]), float(row["cv"]), row["pattern"] == "Weibull")
        except ValueError as error:
            raise _bad_line(path, line, error) from None
        rates.setdefault(row["client"], []).append(window)
    tokens: dict[str, list[tuple[float, F64, F64]]] = {}
    for line, row in _csv_rows(tokens_path, ("client", "start_s", *_QUANTILE_COLUMNS)):
        if not row["input_tokens_p50"] or not row["output_tokens_p50"]:
            continue
        try:
            quantiles = (float(row["start_s"]), _quantiles(row, "input"), _quantiles(row, "output"))
        except ValueError as error:
            raise _bad_line(tokens_path, line, error) from None
        tokens.setdefault(row["client"], []).append(quantiles)
    clients = [c for c, windows in rates.items() if c in tokens and len(windows) > 1 and any(w[1] > 0 for w in windows)]
    if not clients:
        raise TraceError(f"No client of {path} has both calls and token quantiles: nothing can be replayed.")
    return tuple(_renewal(f"{stem}/{client}", rates[client], tokens[client]) for client in clients)


_QUANTILE_COLUMNS = tuple(f"{side}_tokens_p{p}" for side in ("input", "output") for p in (5, 25, 50, 75, 95, 99))


def _quantiles(row: dict[str, str], side: str) -> F64:
    inner = [max(float(row[f"{side}_tokens_p{p}"]), 1.0) for p in (5, 25, 50, 75, 95, 99)]
    # The knots of TOKEN_QUANTILES. Nothing is published beyond 5 and 99 %: half of the lowest, and the step from 95 to
    # 99 % once more.
    knots = np.array([max(inner[0] / 2.0, 1.0), *inner, inner[-1] * inner[-1] / inner[-2]])
    return np.maximum.accumulate(knots)


def _renewal(
    name: str, windows: list[tuple[float, float, float, bool]], tokens: list[tuple[float, F64, F64]]
) -> Renewal:
    windows, tokens = sorted(windows), sorted(tokens, key=lambda known: known[0])
    start_s = np.array([w[0] for w in windows])
    window_ms = float(start_s[1] - start_s[0]) * 1000.0
    # The published steps of ten minutes are an artefact of counting: the rate runs linearly between window centres.
    grid_ms = np.arange(0.0, window_ms * len(windows) + 1.0, _MINUTE_MS)
    centres_ms = (np.arange(len(windows)) + 0.5) * window_ms
    rate = np.interp(grid_ms[:-1] + _MINUTE_MS / 2.0, centres_ms, np.array([w[1] for w in windows]))
    calls = np.maximum(rate, 1e-6) * _MINUTE_MS / 1000.0
    known_s = np.array([known[0] for known in tokens])
    row = np.clip(np.searchsorted(known_s, start_s, side="right") - 1, 0, len(tokens) - 1)
    return Renewal(
        name=name,
        grid_ms=grid_ms,
        cumulative_calls=np.concatenate([[0.0], np.cumsum(calls)]),
        window_ms=window_ms,
        cv=np.array([w[2] if w[2] > 0 else 1.0 for w in windows]),
        weibull=np.array([w[3] for w in windows]),
        prompt_quantiles=np.array([tokens[i][1] for i in row]),
        completion_quantiles=np.array([tokens[i][2] for i in row]),
    )


def _recorded(
    path: Path, arrived_ms: list[float], prompt: list[int], completion: list[int], cached: list[int]
) -> Recorded:
    at_ms = np.array(arrived_ms)
    if len(at_ms) < 2 or at_ms[-1] <= at_ms[0]:  # noqa: PLR2004 - one request has no rate
        raise TraceError(f"{path} holds fewer than two requests at different times: nothing can be replayed.")
    backwards = np.flatnonzero(np.diff(at_ms) < 0)
    if len(backwards):
        raise TraceError(
            f"{path}: request {int(backwards[0]) + 2} is older than the one before it; sort the file by time."
        )
    tokens: list[I64] = [np.array(column, dtype=np.int64) for column in (prompt, completion, cached)]
    if min(tokens[0].min(), tokens[1].min()) < 0:
        raise TraceError(f"{path} holds a negative number of tokens: correct or remove that request.")
    at_ms -= at_ms[0]
    return Recorded(
        name=path.name.partition(".")[0],
        arrived_ms=at_ms,
        period_ms=float(at_ms[-1]) * len(at_ms) / (len(at_ms) - 1),
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        cached_tokens=tokens[2],
    )


def _spread(arrived_ms: list[float]) -> list[float]:
    at_ms = np.array(arrived_ms)
    moments, first, count = np.unique(at_ms, return_index=True, return_counts=True)
    if len(moments) < 2 or np.any(np.diff(at_ms) < 0):  # noqa: PLR2004 - left for _recorded to refuse
        return arrived_ms
    width = np.append(np.diff(moments), np.median(np.diff(moments)))
    place = np.arange(len(arrived_ms)) - np.repeat(first, count)
    return list(np.repeat(moments, count) + np.repeat(width / count, count) * (place + 0.5))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            yield from enumerate(lines, start=1)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TraceError(
            f"{path} cannot be read ({error}): it must be UTF-8 text, or gzip with the ending .gz."
        ) from None


def _csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    rows = csv.DictReader(text for _, text in _lines(path))
    missing = [column for column in columns if column not in (rows.fieldnames or ())]
    if missing:
        raise TraceError(f"{path}, line 1: the column {missing[0]} is missing; is this the right kind of trace?")
    for row in rows:
        if None in row.values() or None in row:
            raise _bad_line(path, rows.line_num, "it has another number of columns than line 1")
        yield rows.line_num, row


def _bad_line(path: Path, line: int, problem: object) -> TraceError:
    return TraceError(f"{path}, line {line}: {problem}; correct or remove the line.")
