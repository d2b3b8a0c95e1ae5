"""Tables of what is said of LLM traffic: false alarms, faults found, delays, precision, what each detector adds.

    python -m tests.quality.traffic_tables

prints this part of docs/quality.md, in about ten minutes of one core, and on standard error how far it is.
"""

import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from msgspec.structs import replace

from jobs.demo.scene import APPLICATIONS, Scene
from jobs.replay.faults import FaultKind
from jobs.replay.truth import PlantedFault
from jobs.replay.world import default_world
from jobs.score.evidence import is_consequence, is_sign
from jobs.score.score import Finding, score
from schemas.anomaly import EntityType, Severity
from schemas.model import PublishedModel
from schemas.time import to_at_ms
from tests.quality.page import table
from tests.quality.traffic import (
    CLEAN_MS,
    CLEAN_SEEDS,
    DAILY_APPLICATIONS,
    DAILY_MS,
    DAILY_REMAINS,
    DAILY_SEEDS,
    DAILY_SWING,
    HOUR_MS,
    LEAST_CALLS_PER_MIN,
    MINUTE_MS,
    PLANTED_MS,
    PLANTED_SEEDS,
    SMALL_MS,
    SMALL_SEEDS,
    TRAINED_SEED,
    YOUNG_MS,
    Run,
    clean_scene,
    daily_scene,
    incidents_of,
    run_of,
    scattered_scene,
    small_scene,
    steady_scene,
    trained_models,
    young_scene,
)
from udfs.detectors.defaults import default_detectors
from udfs.settings import DetectionSettings

WATCHED = ("latency", "ttft", "latency per token", "prompt tokens", "completion tokens", "cost", "errors", "calls")
"""What is watched of each model of each application; the same by calls and by windows counts once."""
JUDGED = ("zscore-10s", "robust-1m", "moving-average-10s", "cusum-1m")
REQUESTED_RATES = (1.0, 10.0)
_MODELS = sum(len(each.models) for each in default_world(applications=APPLICATIONS).applications)
_DAYS = CLEAN_MS / (24 * HOUR_MS)
_PLANTED = f"{PLANTED_MS // HOUR_MS}h"

TOP = f"""## LLM traffic

`sentinel replay` makes calls from packaged traces of real ones (arrivals, tokens, latencies), and `sentinel backtest
telemetry` sends them through everything the job does, with the default configuration. There are {APPLICATIONS}
applications with two models each. Seeds are others than those that thresholds were chosen with. One run by hand:

    sentinel replay --applications {APPLICATIONS} --duration {_PLANTED} --start 2026-09-21T00:00:00Z \\
      --seed {PLANTED_SEEDS[0]} --out calls.jsonl.gz --truth planted.jsonl
    sentinel backtest telemetry calls.jsonl.gz --truth planted.jsonl --out found

An alarm is an *incident*. It is right if at least half of its anomalies fall into the time of a planted fault, or
within two minutes after, and touch whom it hit (`jobs/score`). A fault is *found* if a right incident holds an anomaly
of a metric that the fault moves, and *told* if there is such an anomaly at all. Delays are event time from the fault's
first moment to that anomaly.

### When all is well

{CLEAN_MS // HOUR_MS} hours without a fault, for each seed. The detectors that need a model have one of other
{SMALL_MS // HOUR_MS} hours (seed {TRAINED_SEED}), as `sentinel train` makes it.
"""

REQUESTED = """### Requested and observed

With `false_alarms_per_week` a detector tells what comes so seldom in its own series. Here that alone decides (`warning`
is next to nothing), over the same hours without a fault: how many false alarms were requested of all series together,
and how many came. Alarms within ten minutes count as one. `cusum-1m` tells four times what was requested where that is
one a week, in young series as in older ones: 4.5 times with seeds 203 and 204, spread over all twelve hours, and 4.8
times with a warm-up of four hours in place of one. Ask it for ten a week, or leave `false_alarms_per_week` out.
"""

PLANTED = f"""### Planted faults

Every kind of fault once in {_PLANTED}, each for a few minutes, for each of the seeds {PLANTED_SEEDS[0]} to
{PLANTED_SEEDS[-1]}. First on the applications with the steadiest traffic, as in `sentinel demo`:
"""

SCATTERED = f"""Then on applications drawn at random among those with {LEAST_CALLS_PER_MIN:g} calls a minute or more:
"""

_HOURS, _DAILY_HOURS = SMALL_MS // HOUR_MS, DAILY_MS // HOUR_MS

SMALL_CHANGES = f"""### Small changes

Changes of a quarter of an hour that are smaller than thresholds of single metrics are made for, or go downwards, on
applications drawn at random ({_HOURS}h for each of the seeds {SMALL_SEEDS[0]} to {SMALL_SEEDS[-1]}), with the same
models. *Jointly* counts the faults that only detectors told of that look at all metrics together.
"""

YOUNG = f"""### Small changes of young applications

The same, but every application that changes has made its first call {YOUNG_MS // MINUTE_MS} minutes before: its own
history says little yet, but a model knows how the metrics of others go together.
"""

DAILY = f"""### Volume by the hour

{DAILY_APPLICATIONS} applications whose traffic has a daily course (times {1 - DAILY_SWING:g} to {1 + DAILY_SWING:g})
besides the bursts of the traces, {_DAILY_HOURS}h for each of the seeds {DAILY_SEEDS[0]} and {DAILY_SEEDS[-1]}. On the
third day {1 - DAILY_REMAINS:.0%} of the calls of each application fail to come for half an hour.
"""

ADDED = """### What each detector adds

Over all runs with planted faults. *Right* is the share of a detector's anomalies that a planted fault explains; *first*
counts the faults of which it was the first to tell, *alone* those of which no other told, *lost without it* those that
would not be found if it were silent.
"""


def measure() -> str:
    """Return the part of the page."""
    models = trained_models()
    clean = [_told_of("nothing planted", clean_scene(seed), models=models) for seed in CLEAN_SEEDS]
    steady = [_told_of("the steadiest", steady_scene(seed)) for seed in PLANTED_SEEDS]
    scattered = [_told_of("drawn at random", scattered_scene(seed)) for seed in PLANTED_SEEDS]
    joint = {each.detector_id for each in default_detectors() if each.form == "vector"}
    small = [_told_of("small changes", small_scene(seed), models=models) for seed in SMALL_SEEDS]
    young = [_told_of("young applications", young_scene(seed), models=models) for seed in SMALL_SEEDS]
    daily = [_told_of("by the hour", daily_scene(seed)) for seed in DAILY_SEEDS]
    parts = [
        TOP,
        _clean_table(clean),
        REQUESTED,
        _requested_table(),
        PLANTED,
        _fault_table(steady),
        SCATTERED,
        _fault_table(scattered),
        SMALL_CHANGES,
        _fault_table(small, joint),
        YOUNG,
        _fault_table(young, joint),
        DAILY,
        _fault_table(daily),
        _precision_table(
            {
                "the steadiest": steady,
                "drawn at random": scattered,
                "drawn at random, small changes": small,
                "the same, young applications": young,
                "volume by the hour": daily,
            }
        ),
        ADDED,
        _detector_table(steady + scattered + small + young + daily, clean),
    ]
    return "\n".join(parts)


def _told_of(
    name: str, scene: Scene, settings: DetectionSettings | None = None, models: Iterable[PublishedModel] = ()
) -> Run:
    """Return a run, and say on standard error that it is done."""
    run = run_of(scene, settings, models)
    found = sum(each.is_found for each in run.score.findings)
    sys.stderr.write(
        f"{name}, seed {run.seed}: {run.result.records:,} records, {found} of {len(run.score.findings)} faults found, "
        f"{len(run.score.false_incidents)} of {run.score.incidents} incidents false, {time.process_time():.0f} s\n"
    )
    return run


def _clean_table(runs: Sequence[Run]) -> str:
    rows, series = [], _MODELS * len(WATCHED)
    for run in runs:
        anomalies = run.result.anomalies
        critical = sum(each.severity is Severity.CRITICAL for each in anomalies)
        of_models = sum(each.affected_entity.type is EntityType.MODEL for each in anomalies)
        counts = (len(anomalies), critical, len(run.result.incidents))
        per_day = (f"{count / _DAYS:g}" for count in counts)
        rows.append((f"{run.seed}", f"{run.result.records:,}", *per_day, f"{7 * of_models / _DAYS / series:.2f}"))
    head = ("seed", "records", "anomalies a day", "critical", "incidents", "anomalies a week, model and metric")
    return table(head, rows)


def _requested_table() -> str:
    detectors = tuple(
        replace(
            each,
            detector_id=f"{each.detector_id}.{per_week:g}",
            false_alarms_per_week=per_week,
            warning=1e-3,
            critical=None,
            refractory_ms=600_000,
        )
        for each in default_detectors()
        if each.detector_id in JUDGED
        for per_week in REQUESTED_RATES
    )
    settings = DetectionSettings(summaries="none", detectors=detectors)
    told = Counter[str]()
    for seed in CLEAN_SEEDS:
        run = _told_of("requested rates", clean_scene(seed), settings)
        told.update(each.detector_id for each in run.result.anomalies)
    weeks, rows = len(CLEAN_SEEDS) * _DAYS / 7, []
    for each in detectors:
        name, per_week = each.detector_id.rpartition(".")[0], each.false_alarms_per_week or 0.0
        expected, observed = per_week * weeks * _MODELS * len(each.metrics), told[each.detector_id]
        ratio = f"{observed / expected:.2f}"
        rows.append((f"`{name}`", f"{per_week:g}", f"{expected:.0f}", f"{observed}", ratio))
    return table(("detector", "requested a week and series", "expected", "observed", "ratio"), rows)


def _fault_table(runs: Sequence[Run], joint: Collection[str] = ()) -> str:
    pairs = [(run, finding) for run in runs for finding in run.score.findings]
    groups: dict[tuple[str, str], list[tuple[Run, Finding]]] = {}
    for run, finding in sorted(pairs, key=lambda pair: _place_of(pair[1].fault)):
        groups.setdefault((finding.fault.kind.value, f"{finding.fault.magnitude:g}"), []).append((run, finding))
    rows = []
    for name, same in (*groups.items(), (("**all**", ""), pairs)):
        findings = [each for _, each in same]
        found, told = sum(each.is_found for each in findings), sum(each.delay_ms is not None for each in findings)
        share = f"{found / len(same):.1%}" if same is pairs else f"{found} of {len(same)}"
        row = (*name, share, f"{told}", *_delays(findings))
        rows.append((*row, f"{sum(_told_only_by(joint, *pair) for pair in same)}") if joint else row)
    head = ("fault", "times or share", "found", "told", "median delay", "90 % within")
    return table((*head, "jointly") if joint else head, rows)


def _place_of(fault: PlantedFault) -> tuple[int, float]:
    return list(FaultKind).index(fault.kind), fault.magnitude


def _told_only_by(detectors: Collection[str], run: Run, finding: Finding) -> bool:
    """Return whether these detectors told of a fault, and no other did."""
    tellers = {each.detector_id for each in run.result.anomalies if is_sign(finding.fault, each)}
    return bool(tellers) and tellers <= set(detectors)


def _delays(findings: Sequence[Finding]) -> tuple[str, str]:
    delays = [each.delay_ms / 1000 for each in findings if each.delay_ms is not None]
    return (f"{np.median(delays):.0f} s", f"{np.quantile(delays, 0.9):.0f} s") if delays else ("", "")


def _precision_table(groups: dict[str, list[Run]]) -> str:
    rows = []
    for name, runs in groups.items():
        scores = [run.score for run in runs]
        incidents, anomalies = (sum(getattr(each, what) for each in scores) for what in ("incidents", "anomalies"))
        false = sum(len(each.false_incidents) for each in scores)
        critical = sum(each.false_criticals for each in scores)
        strays = sum(len(each.stray_anomalies) for each in scores)
        passed = sum(each.is_passed for each in scores)
        rows.append(
            (
                name,
                f"{1 - false / incidents:.1%} of {incidents}",
                f"{critical}",
                f"{1 - strays / anomalies:.1%} of {anomalies:,}",
                f"{passed} of {len(runs)}",
            )
        )
    head = (
        "faults on",
        "incidents right",
        "false critical ones",
        "anomalies right",
        "verdict of `sentinel demo` passed",
    )
    return table(head, rows)


def _detector_table(runs: Sequence[Run], clean: Sequence[Run]) -> str:
    settings = DetectionSettings()
    told, right, first, alone = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for run in runs:
        faults = [each.fault for each in run.score.findings]
        for each in run.result.anomalies:
            told[each.detector_id] += 1
            right[each.detector_id] += any(is_consequence(fault, each) for fault in faults)
        for fault in faults:
            signs = [each for each in run.result.anomalies if is_sign(fault, each)]
            if signs:
                first[min(signs, key=lambda each: (to_at_ms(each.timestamp), each.detector_id)).detector_id] += 1
                tellers = {each.detector_id for each in signs}
                alone.update(tellers if len(tellers) == 1 else ())
    quiet = Counter(each.detector_id for run in clean for each in run.result.anomalies)
    rows = []
    for name in (each.detector_id for each in settings.detectors):
        share = f"{right[name] / told[name]:.0%}" if told[name] else ""
        lost = sum(_lost_without(run, name, settings) for run in runs) if told[name] else 0
        per_day = f"{quiet[name] / _DAYS / len(clean):.1f}"
        rows.append((f"`{name}`", f"{told[name]}", share, f"{first[name]}", f"{alone[name]}", f"{lost}", per_day))
    head = ("detector", "anomalies", "right", "first", "alone", "lost without it", "a day when all is well")
    return table(head, rows)


def _lost_without(run: Run, detector_id: str, settings: DetectionSettings) -> int:
    """Return how many faults fewer would be found if a detector were silent."""
    others = [each for each in run.result.anomalies if each.detector_id != detector_id]
    faults = [each.fault for each in run.score.findings]
    again = score(faults, others, incidents_of(others, settings))
    pairs = zip(run.score.findings, again.findings, strict=True)
    return sum(before.is_found and not after.is_found for before, after in pairs)


if __name__ == "__main__":
    sys.stdout.write(measure())
