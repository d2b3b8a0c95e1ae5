"""Prints what each type of detector costs: microseconds of processor time per observation, at 200 and 10,000 series.

    python -m tests.benchmarks.detectors [observations]

An observation is one call for detectors on `event`, else one closed window, with all metrics that the default
configuration gives the detector. Observations come in batches of 250, as from one partition in a tick, of series drawn
at random, values lognormal around what is usual. Every series is warm before the clock runs, models are fitted as
`sentinel train` does. The cost is of `Driver.run` (and, for silences, of the look at all series once in a tick of its
windows), without intake, windows and the making of anomalies. The last line is all of it as JSON.
"""

import json
import sys
from pathlib import Path
from time import process_time

import numpy as np

from jobs.bench.surroundings import processor
from jobs.training.fit import fit
from jobs.training.windows import Windows
from udfs.aggregates import OBSERVED
from udfs.conformance.observations import START_AT_MS, usual_of
from udfs.detector import Detector
from udfs.detectors.defaults import default_detectors
from udfs.driver import STEP_MS, Driver
from udfs.kernels import Floats

SERIES = (200, 10_000)
BATCH = 250
_FITTED_ON = 5_000


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
        driver.publish(fit(Windows(vectors, START_AT_MS, START_AT_MS, 1), detector, seed=1, now_ms=START_AT_MS))
    return driver


def cost_us(detector: Detector, series: int, observations: int) -> float:
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
    for _ in range(observations // BATCH):
        rows, values = draw.integers(0, series, BATCH), drawn(detector, BATCH, draw)
        # A series is observed about once in the length of its windows; of calls, once a second.
        at_ms += max(1, gap_ms * BATCH // series)
        began_s = process_time()
        driver.run(states, 0, rows, np.full(BATCH, at_ms), values, volumes[:BATCH])
        if detector.form == "silence" and at_ms - looked_ms >= STEP_MS[detector.on]:
            driver.silences(states, 0, series, at_ms)
            looked_ms = at_ms
        spent_s += process_time() - began_s
    return spent_s / (observations // BATCH * BATCH) * 1e6


def measure(observations: int) -> dict[str, object]:
    """Return the costs of all types, in the order of the default configuration."""
    costs: dict[str, dict[str, object]] = {}
    for detector in reversed({type(each): each for each in reversed(default_detectors())}.values()):
        costs[detector.detector_id] = {
            "type": type(detector).__struct_config__.tag,
            "on": detector.on,
            "metrics": len(detector.metrics),
            **{f"series_{count}_us": round(cost_us(detector, count, observations), 2) for count in SERIES},
        }
        one = costs[detector.detector_id]
        figures = "  ".join(f"{one[f'series_{count}_us']:>9}" for count in SERIES)
        print(f"{one['type']:>18}  {detector.on:>5}  {len(detector.metrics):>7}  {figures}", flush=True)  # noqa: T201
    return {"benchmark": "detectors", "observations": observations, "batch": BATCH, "costs": costs}


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'type':>18}  {'on':>5}  {'metrics':>7}  " + "  ".join(f"{f'{n:,}, us':>9}" for n in SERIES))  # noqa: T201
    print(json.dumps(measure(number) | {"processor": processor(Path("/proc/cpuinfo"))}))  # noqa: T201
