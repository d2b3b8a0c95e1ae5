"""Prints what each type of detector costs: microseconds of processor time per observation, at 200 and 10,000 series.

    python -m tests.benchmarks.detectors [--observations 100000] [--record]

`--record` appends the figures to `detectors.csv` beside this file, which keeps them over the commits: compare lines of
one processor, and ratios rather than figures.

An observation is one call for detectors on `event`, else one closed window, with all metrics that the default
configuration gives the detector. Observations come in batches of 250, as from one partition in a tick (in the column
*single* one by one), of series drawn at random, values lognormal around what is usual. Every series is warm before the
clock runs, models are fitted as `sentinel train` does. The cost is of `Driver.run` (and, for silences, of the look at
all series once in a tick of its windows), without intake, windows and the making of anomalies. The last line is all of
it as JSON.
"""

import argparse
import csv
import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import numpy as np

from jobs.bench.surroundings import processor
from jobs.training.fit import fit
from jobs.training.windows import Windows
from udfs.aggregates import OBSERVED
from udfs.conformance.observations import START_AT_MS, usual_of
from udfs.detector import STEP_MS, Detector
from udfs.detectors.defaults import default_detectors
from udfs.driver import Driver
from udfs.kernels import Floats

SERIES = (200, 10_000)
BATCH = 250
_FITTED_ON = 5_000
_SINGLES = 20
"""Of so many observations one is measured by itself, which costs far more."""
_RECORD = Path(__file__).with_suffix(".csv")


def drawn(detector: Detector, count: int, draw: np.random.Generator) -> Floats:
    """Return ordinary values of everything that is observed, float64[count, names]."""
    names = OBSERVED[detector.on, detector.entity]
    values = np.array([usual_of(name) for name in names]) * draw.lognormal(0.0, 0.2, (count, len(names)))
    for column in (names.index(name) for name in ("error", "error_rate") if name in names):
        values[:, column] = draw.random(count) < 0.01 if detector.on == "event" else draw.uniform(0, 0.02, count)
    return values


def ready(detector: Detector) -> Driver:
    """Return a driver, with a model fitted on ordinary windows if the detector needs one."""
    names = OBSERVED[detector.on, detector.entity]
    driver = Driver(detector, names)
    if detector.needs_model:
        vectors = drawn(detector, _FITTED_ON, np.random.default_rng(1))[:, [names.index(n) for n in detector.metrics]]
        ends_at_ms = START_AT_MS + 60_000 * np.arange(_FITTED_ON)
        windows = Windows(vectors, np.full(_FITTED_ON, 30.0), ends_at_ms, ("one",) * _FITTED_ON)
        driver.publish(fit(windows, detector, seed=1, now_ms=START_AT_MS))
    return driver


def cost_us(detector: Detector, series: int, observations: int, batch: int = BATCH) -> float:
    """Return the cost of one observation of one of so many series."""
    driver, draw = ready(detector), np.random.default_rng(2)
    states = np.zeros((series, driver.width))
    gap_ms = STEP_MS[detector.on]
    rounds = detector.warm_up_samples + 10
    pause_ms = max(gap_ms, -(-2 * detector.warm_up_ms // rounds))
    everyone, at_ms = np.arange(series), START_AT_MS
    volumes = np.full(max(series, BATCH), 1.0 if detector.on == "event" else 30.0)
    for _ in range(rounds):
        at_ms += pause_ms
        driver.run(states, 0, everyone, np.full(series, at_ms), drawn(detector, series, draw), volumes[:series])
    spent_s, looked_ms = 0.0, at_ms
    for _ in range(observations // batch):
        rows, values = draw.integers(0, series, batch), drawn(detector, batch, draw)
        # A series is observed about once in the length of its windows; of calls, once a second.
        at_ms += max(1, gap_ms * batch // series)
        began_s = process_time()
        driver.run(states, 0, rows, np.full(batch, at_ms), values, volumes[:batch])
        if detector.form == "silence" and at_ms - looked_ms >= STEP_MS[detector.on]:
            driver.silences(states, 0, series, at_ms)
            looked_ms = at_ms
        spent_s += process_time() - began_s
    return spent_s / (observations // batch * batch) * 1e6


def measure(observations: int) -> dict[str, dict[str, object]]:
    """Return the costs of all types, in the order of the default configuration."""
    costs: dict[str, dict[str, object]] = {}
    headings = [*(f"{n:,}, us" for n in SERIES), "single, us"]
    print(f"{'type':>18}  {'on':>5}  {'metrics':>7}  " + "  ".join(f"{each:>10}" for each in headings))  # noqa: T201
    for detector in reversed({type(each): each for each in reversed(default_detectors())}.values()):
        one: dict[str, object] = {
            "type": type(detector).__struct_config__.tag,
            "on": detector.on,
            "metrics": len(detector.metrics),
            **{f"series_{count}_us": round(cost_us(detector, count, observations), 2) for count in SERIES},
            "single_us": round(cost_us(detector, SERIES[0], observations // _SINGLES, batch=1), 2),
        }
        costs[detector.detector_id] = one
        figures = "  ".join(f"{one[f'series_{count}_us']:>10}" for count in SERIES)
        print(f"{one['type']:>18}  {one['on']:>5}  {one['metrics']:>7}  {figures}  {one['single_us']:>10}", flush=True)  # noqa: T201
    return costs


def record(costs: Mapping[str, Mapping[str, object]], kind: str) -> None:
    """Append a line for each detector to the file that is kept over the commits."""
    argv = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=_RECORD.parent).stdout.strip()
    day = datetime.now(tz=UTC).date().isoformat()
    with _RECORD.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for one in costs.values():
            writer.writerow([day, commit, kind, *(value for name, value in one.items() if name != "on")])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detectors")
    parser.add_argument("--observations", type=int, default=100_000)
    parser.add_argument("--record", action="store_true", help=f"append the figures to {_RECORD.name}")
    options = parser.parse_args()
    found, kind = measure(options.observations), processor(Path("/proc/cpuinfo"))
    if options.record:
        record(found, kind)
    print(json.dumps({"benchmark": "detectors", "batch": BATCH, "costs": found, "processor": kind}))  # noqa: T201
