"""Measures detection quality on labelled series and on LLM traffic, and writes docs/quality.md: `make quality`.

The data lies in the folder that SENTINEL_DATA names; without it nothing is measured.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from msgspec.structs import replace

from jobs.backtest.series import backtest
from tests.quality import labelled_data, petshop, traffic_tables
from tests.quality.floors import FLOORS
from tests.quality.labelled_data import Labelled
from tests.quality.measures import average_precision, composite_f1, vus_pr
from tests.quality.nab_rule import PROFILES, nab_score, nab_score_at
from tests.quality.page import table
from udfs.detectors.novelty import FEATURES, Novelty
from udfs.kernels import Floats
from udfs.series import SERIES_DETECTOR, SeriesWatch

PAGE = Path(__file__).parents[2] / "docs" / "quality.md"
ALERT = 0.5
"""The score from which the detector calls an observation an anomaly."""
WEEK_MS = 7 * 86_400_000
HALVES = 100

PEERS = (
    ("ARTime, knows the file's range and length", "77.5", "67.7", "82.8"),
    ("Numenta HTM, knows the file's range", "73.2", "67.4", "76.6"),
    ("CAD OSE, knows the file's range", "70.8", "68.2", "74.0"),
)
"""Best published detectors on these files of NAB, scored with the same sweep of thresholds."""

Scorer = Callable[[Labelled], Floats]


def measure(root: Path) -> str:
    """Return the page."""
    nab, kpi, cloud = labelled_data.nab(root), labelled_data.kpi(root), labelled_data.cloud(root)
    scorers: dict[str, Scorer] = {"**novelty**": _with(SERIES_DETECTOR)}
    scorers |= {name: _floor(floor) for name, floor in FLOORS.items()}
    parts = [
        TOP,
        "## NAB\n",
        _nab_table(nab, scorers),
        _halves(nab),
        "## Service indicators\n",
        _indicator_table({"KPI": kpi, "cloud": cloud}, scorers),
        "## Alerts\n",
        _alert_table({"NAB": nab, "KPI": kpi, "cloud": cloud}),
        "## What each part adds\n",
        _ablation_table(nab, kpi, cloud),
        _costs(kpi),
        traffic_tables.measure(),
    ]
    if (root / "petshop").is_dir():
        parts.append(petshop.section(root / "petshop"))
    return "\n".join(parts)


TOP = """# Detection quality

Two things are measured: what the detector `novelty` ([detectors.md](detectors.md#novelty)), with its one default
configuration, finds in public labelled series, and what the whole of the default configuration says of LLM traffic
([below](#llm-traffic)). Made by `SENTINEL_DATA=folder make quality`, on the development part of each set: NAB (MIT, 29
of 58 files), the KPI series of AIOps 2018 (MIT, 11 of 29) and Microsoft's cloud monitoring series (MIT). Parameters
were chosen on these files, so expect less of others: *Halves* says how much less.

The detector is causal: one pass, no look at the whole file, the same code as in the job. Measures are of scores as
they stand, without point adjustment: *AP* average precision of rows, *Fc1* the best harmonic mean of the precision of
rows and the recall of events, *VUS-PR* the volume under precision by recall when the ends of anomalies are blurred,
each the mean over series that have anomalies; of the KPI series the second half, which is their test half. *Floors*
are rules of a line or two (`tests/quality/floors.py`), among them the record rule with silence after it has spoken.

In short: on NAB it is above the published detectors that are silent most of the time (Numenta HTM, CAD OSE) and, where
false alarms count double, above ARTime; where missed windows count double, ARTime is ahead. It finds what is new, and
so misses the second of two alike anomalies within a week. Of indicators it ranks anomalous minutes well; of those that
are alike or small it alerts on few (*Alerts*).
"""


def _with(detector: Novelty) -> Scorer:
    return lambda series: SeriesWatch(detector).judge(series.at_ms, series.values).score


def _floor(floor: Callable[[Floats], Floats]) -> Scorer:
    return lambda series: floor(series.values)


def _nab_table(series: Sequence[Labelled], scorers: dict[str, Scorer]) -> str:
    rows = []
    for name, scorer in scorers.items():
        scores = [scorer(each) for each in series]
        results = [nab_score(series, scores, profile) for profile in PROFILES]
        first = results[0]
        found = f"{first.windows_found} of {first.windows}"
        rows.append(
            (name, *(f"{each.score:.1f}" for each in results), found, f"{first.false_rows}", f"{first.delay_rows:.0f}")
        )
        if name == next(iter(scorers)):
            alerts = [nab_score_at(series, scores, profile, ALERT) for profile in PROFILES]
            rows.append((f"{name}, `is_anomaly`", *(f"{each.score:.1f}" for each in alerts), "", "", ""))
    rows += [(*peer, "", "", "") for peer in PEERS]
    head = ("", *(profile.name for profile in PROFILES), "windows found", "false rows", "median delay, rows")
    return table(head, rows)


def _halves(series: Sequence[Labelled]) -> str:
    """Return how far the score at the alert's threshold varies over random halves of the files."""
    scores = [_with(SERIES_DETECTOR)(each) for each in series]
    draw, found = np.random.default_rng(HALVES), []
    for _ in range(HALVES):
        half = draw.permutation(len(series))[: len(series) // 2]
        files, judged = [series[k] for k in half], [scores[k] for k in half]
        found.append([nab_score_at(files, judged, profile, ALERT).score for profile in PROFILES])
    spread = (
        f"{profile.name} {mean:.1f} +- {deviation:.1f}"
        for profile, mean, deviation in zip(PROFILES, np.mean(found, axis=0), np.std(found, axis=0), strict=True)
    )
    return f"*Halves*: over {HALVES} random halves of the files the score of alerts is {', '.join(spread)}.\n"


def _indicator_table(sets: dict[str, list[Labelled]], scorers: dict[str, Scorer]) -> str:
    rows = []
    for name, scorer in scorers.items():
        cells = [f"{value:.3f}" for series in sets.values() for value in _indicators(series, scorer, with_vus=True)]
        rows.append((name, *cells))
    return table(("", *(f"{each} {measure}" for each in sets for measure in ("AP", "Fc1", "VUS-PR"))), rows)


def _indicators(series: Sequence[Labelled], scorer: Scorer, *, with_vus: bool = False) -> tuple[float, ...]:
    """Return the means of the measures over series that have anomalies."""
    found = []
    for each in series:
        score, labels = scorer(each), each.labels
        if each.category == each.name:
            half = len(labels) // 2
            score, labels = score[half:], labels[half:]
        if labels.any():
            measures = (average_precision(labels, score), composite_f1(labels, score))
            found.append((*measures, vus_pr(labels, score)) if with_vus else measures)
    return tuple(float(value) for value in np.mean(found, axis=0))


def _alert_table(sets: dict[str, list[Labelled]]) -> str:
    rows = []
    for name, series in sets.items():
        alerts, right, false, weeks, events, found = 0, 0, 0, 0.0, 0, 0
        for each in series:
            hit = SeriesWatch().judge(each.at_ms, each.values).is_anomaly
            alerts += int(hit.sum())
            right += int((hit & (each.labels == 1)).sum())
            weeks += (each.at_ms[-1] - each.at_ms[0]) / WEEK_MS
            edges = np.flatnonzero(np.diff(np.concatenate([[0], each.labels, [0]])))
            for start, end in edges.reshape(-1, 2):
                events += 1
                found += bool(hit[start:end].any())
        false = alerts - right
        rows.append(
            (name, f"{alerts}", f"{right / max(alerts, 1):.0%}", f"{found} of {events}", f"{false / weeks:.2f}")
        )
    return table(("", "alerts", "within an anomaly", "anomalies alerted", "false alarms a week and series"), rows)


def _ablation_table(nab: list[Labelled], kpi: list[Labelled], cloud: list[Labelled]) -> str:
    never = 1e9
    variants = {"all of it": SERIES_DETECTOR}
    for place, feature in enumerate(FEATURES):
        margins = tuple(never if k == place else margin for k, margin in enumerate(SERIES_DETECTOR.margins))
        variants[f"no record of the {feature}"] = replace(SERIES_DETECTOR, margins=margins)
    variants["no confirmation: one feature may decide"] = replace(SERIES_DETECTOR, largest_part=never)
    variants["no patience with young series"] = replace(SERIES_DETECTOR, young_samples=1.0)
    variants["no silence after an anomaly"] = replace(SERIES_DETECTOR, refractory_samples=0.5)
    variants["blocks by count alone"] = replace(SERIES_DETECTOR, block_ms=1.0)
    rows = []
    for name, detector in variants.items():
        scorer = _with(detector)
        scores = [scorer(each) for each in nab]
        cells = [f"{nab_score(nab, scores, profile).score:.1f}" for profile in PROFILES]
        cells += [f"{value:.3f}" for series in (kpi, cloud) for value in _indicators(series, scorer)]
        rows.append((name, *cells))
    return table(("", *(f"NAB {each.name}" for each in PROFILES), "KPI AP", "KPI Fc1", "cloud AP", "cloud Fc1"), rows)


def _cost(series: Sequence[Labelled]) -> float:
    """Return microseconds of processor time a point."""
    longest = max(series, key=lambda each: len(each.values))
    start = time.process_time()
    SeriesWatch().judge(longest.at_ms, longest.values)
    return 1e6 * (time.process_time() - start) / len(longest.values)


def _costs(kpi: Sequence[Labelled]) -> str:
    return (
        f"Cost: {_cost(kpi):.2f} us a point, one core; state {8 * SERIES_DETECTOR.state_width:,} bytes a series. "
        f"`sentinel backtest series` reads, judges and writes 1,000,000 points in {_million_s():.0f} s.\n"
    )


def _million_s() -> float:
    """Return the seconds of processor time that a file of 1,000,000 points takes."""
    values = np.random.default_rng(1).lognormal(0.0, 0.3, 1_000_000)
    with TemporaryDirectory() as folder:
        source = Path(folder) / "million.csv"
        rows = (f"{60 * place},{value:.4f}" for place, value in enumerate(values.tolist(), start=25_000_000))
        source.write_text("\n".join(["timestamp,value", *rows]))
        start = time.process_time()
        list(backtest([source], Path(folder) / "out"))
        return time.process_time() - start


def main() -> None:
    """Measure, print and write the page; say so and leave it as it is if there is no data."""
    root = os.environ.get("SENTINEL_DATA", "")
    if not root or not (Path(root) / "nab").is_dir():
        sys.stderr.write(
            "quality: nothing measured; SENTINEL_DATA must name a folder with nab, aiops_kpi, ms_cloud_monitoring\n"
        )
        return
    page = measure(Path(root))
    sys.stdout.write(page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
