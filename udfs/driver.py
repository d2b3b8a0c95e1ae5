"""Driver: one configured detector, ready to run over batches of observations against the state of many series."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, cast

import numba
import numpy as np

from schemas.model import PublishedModel
from udfs.decision import HEADER_VERSION, PREFIX_WIDTH, policy_of
from udfs.detector import STEP_MS, Detector, resolutions
from udfs.flags import NO_FLAGS, Flags
from udfs.kernels import Floats, Integers, specialise
from udfs.loops import over_series, over_silences, over_vectors
from udfs.series_state import Block

_LOOPS: dict[str, Callable[..., Floats]] = {"series": over_series, "vector": over_vectors, "silence": over_silences}

_TABLE = numba.float64[:, ::1]
_FLOATS = numba.float64[::1]
_INTEGERS = numba.int64[::1]
_START = (_TABLE, numba.int64, numba.int64, _INTEGERS, _INTEGERS)
_OBSERVATIONS = (_TABLE, _INTEGERS, _FLOATS, _FLOATS)
_SETTINGS = (_FLOATS, _FLOATS)
_SIGNATURES = {
    "series": (*_START, *_OBSERVATIONS, *_SETTINGS, numba.float64[:, :, ::1]),
    "vector": (*_START, *_OBSERVATIONS, *_SETTINGS),
    "silence": (*_START, _FLOATS, numba.int64, numba.boolean, *_SETTINGS),
}

KEPT_MODELS = 4
"""Models a driver remembers: late observations are scored with the model that held at their time."""

_NO_BANDS = np.empty((0, 0, 3))


class Driver:
    """Runs one detector. Holds no series' state, so one driver may serve any number of state arrays."""

    def __init__(self, detector: Detector, names: Sequence[str]) -> None:
        """Compile the detector's loop, or load its machine code.

        `names` are the columns of the values that `run` will get. Raises ValueError if a metric of the detector is not
        among them.
        """
        missing = [metric for metric in detector.metrics if metric not in names]
        if missing:
            known = ", ".join(names)
            raise ValueError(
                f"detector {detector.detector_id!r} watches {missing[0]!r}, not observed on {detector.on!r} of "
                f"{detector.entity!r}; there are {known}"
            )
        self.detector = detector
        self._columns = np.array([names.index(metric) for metric in detector.metrics], dtype=np.int64)
        self._resolution = resolutions(detector.metrics)
        self._policy = policy_of(detector)
        self._parameters = detector.parameters()
        self._models: list[tuple[int, Floats, str]] = []
        self._width = PREFIX_WIDTH + detector.state_width
        self._loop = _loop(type(detector))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The columns of state that this detector owns, in order: one block for each metric it judges by itself.

        So adding a metric leaves the baselines of the others alone.
        """
        detector = self.detector
        owner = f"{detector.detector_id}:{type(detector).__struct_config__.tag}"
        version = 1000 * HEADER_VERSION + detector.state_version
        if detector.form == "series":
            return tuple(Block(f"{owner}:{metric}", version, self._width) for metric in detector.metrics)
        return (Block(f"{owner}:{','.join(detector.metrics)}", version, self._width),)

    @property
    def width(self) -> int:
        """Floats of all blocks together."""
        return sum(block.width for block in self.blocks)

    def run(
        self,
        states: Floats,
        column: int,
        rows: Integers,
        at_ms: Integers,
        values: Floats,
        volumes: Floats,
        bands: Floats | None = None,
    ) -> Flags:
        """Score and learn a batch of observations, in order, and return what is to be told.

        `states` is float64[capacity, width of all layouts], changed in the columns from `column` on and nowhere else;
        `rows` int64[n] are the row of each observation's series (rows may repeat), `at_ms` int64[n] its event time
        (the end of its window), `values` float64[n, len(names)] with NaN for missing, `volumes` float64[n] the calls it
        sums up (1 for a call). `bands`, if given, is float64[n, metrics, 3] and receives what was expected before
        the observation was learnt: value, low, high; NaN while warming up.

        Running a batch in two parts gives the same flags and the same state, bit for bit.
        """
        if self.detector.form == "silence":
            volumes = np.ascontiguousarray(volumes, dtype=np.float64)
            return self._silences(states, column, rows, at_ms, volumes, learns=True)
        if not self.detector.needs_model:
            return self._run(self._parameters, states, column, rows, at_ms, values, volumes, bands)
        found = []
        for parameters, start, end in self._parts(at_ms):
            part = slice(start, end)
            flags = self._run(parameters, states, column, rows[part], at_ms[part], values[part], volumes[part], None)
            flags.table[:, 0] += start
            found.append(flags.table)
        return Flags(np.concatenate(found)) if found else NO_FLAGS

    def silences(self, states: Floats, column: int, count: int, at_ms: int) -> Flags:
        """Return the series that have been silent for too long at `at_ms`, for a detector whose form is "silence".

        Call it when event time has come to the end of a window, after `run` of the observations up to then; `count` is
        the number of rows in use. `Flags.i` are rows of the state. Each silence is told once, and once more if it
        becomes critical, by whichever comes first: this, or `run` when the series speaks again.
        """
        rows, times = np.arange(count), np.full(count, at_ms, dtype=np.int64)
        return self._silences(states, column, rows, times, np.zeros(count), learns=False)

    def publish(self, model: PublishedModel) -> None:
        """Take a trained model; observations from its `effective_at_ms` on are scored with it.

        A detector that needs a model is silent, and learns nothing, before its first. Of models with one effective time
        the last published holds. Raises ValueError, with a sentence for the operator, if the model does not fit this
        detector; the models it has stay.
        """
        parameters = self.detector.model_parameters(model)
        others = [known for known in self._models if known[0] != model.effective_at_ms]
        known = sorted([*others, (model.effective_at_ms, parameters, model.version)], key=lambda each: each[0])
        self._models = known[-KEPT_MODELS:]

    def take(self, models: Sequence[PublishedModel]) -> None:
        """Hold these models and no others. Raises ValueError as `publish` does."""
        self._models = []
        for model in models:
            self.publish(model)

    def version_at(self, at_ms: int) -> str:
        """Return the version of what scored an observation: the model's, or the detector's own."""
        versions = [version for effective_at_ms, _, version in self._models if effective_at_ms <= at_ms]
        return versions[-1] if versions else self.detector.version

    def _parts(self, at_ms: Integers) -> Iterator[tuple[Floats, int, int]]:
        """Yield the model's parameters, start and end of each stretch of observations that one model scores."""
        times = np.array([effective_at_ms for effective_at_ms, _, _ in self._models], dtype=np.int64)
        which = np.searchsorted(times, at_ms, side="right") - 1
        edges = [0, *(np.flatnonzero(np.diff(which)) + 1).tolist(), len(which)]
        for start, end in pairwise(edges):
            if end > start and which[start] >= 0:
                yield self._models[int(which[start])][1], start, end

    def _run(
        self,
        parameters: Floats,
        states: Floats,
        column: int,
        rows: Integers,
        at_ms: Integers,
        values: Floats,
        volumes: Floats,
        bands: Floats | None,
    ) -> Flags:
        arguments = (
            states,
            column,
            self._width,
            np.ascontiguousarray(rows, dtype=np.int64),
            np.ascontiguousarray(at_ms, dtype=np.int64),
            np.ascontiguousarray(values, dtype=np.float64),
            self._columns,
            self._resolution,
            np.ascontiguousarray(volumes, dtype=np.float64),
            parameters,
            self._policy,
        )
        if self.detector.form == "vector":
            return Flags(self._loop(*arguments))
        return Flags(self._loop(*arguments, _NO_BANDS if bands is None else bands))

    def _silences(
        self, states: Floats, column: int, rows: Integers, at_ms: Integers, volumes: Floats, *, learns: bool
    ) -> Flags:
        table = self._loop(
            states,
            column,
            self._width,
            np.ascontiguousarray(rows, dtype=np.int64),
            np.ascontiguousarray(at_ms, dtype=np.int64),
            volumes,
            STEP_MS[self.detector.on],
            learns,
            self._parameters,
            self._policy,
        )
        return Flags(table)


@cache
def _loop(detector: type[Detector]) -> Callable[..., Floats]:
    """Return the loop of a type of detector, compiled now so that the first observation need not wait."""
    kernels = detector.kernels
    parts = {f"_{name}": part for name, part in kernels._asdict().items() if part is not None}
    name = f"{kernels.score.__module__}.{detector.__name__}".replace(".", "_")
    loop = specialise(_LOOPS[detector.form], name, parts)
    if not cast("Any", numba.config).DISABLE_JIT:
        cast("Any", loop).compile(_SIGNATURES[detector.form])
    return loop
