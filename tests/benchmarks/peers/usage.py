"""Usage: processor time and memory of processes and all that they start, sampled."""

import contextlib
import time
from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import Final, Self

import numpy as np
import psutil

EVERY_S: Final = 0.5


class Usage(Thread):
    """Samples processor time and memory beside a measurement; `with Usage(pids) as usage`."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        """Sample the processes that `pids` names at each moment, with their children."""
        super().__init__(name="usage", daemon=True)
        self._pids = pids
        self._over = Event()
        self._spent_s: dict[int, float] = {}
        self._samples: list[tuple[float, float]] = []
        self.peak_bytes = 0
        """The largest sum of resident memory; what processes share counts in each of them."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Sample until it is over."""
        while not self._over.wait(EVERY_S):
            self._sample()

    def cpu_s(self, from_ms: float, to_ms: float) -> float:
        """Return the processor time spent between two moments of the wall clock, interpolated between samples."""
        at_ms, spent_s = zip(*self._samples, strict=True) if self._samples else ((0.0,), (0.0,))
        before, after = np.interp([from_ms, to_ms], at_ms, spent_s)
        return float(after - before)

    def _sample(self) -> None:
        resident = 0
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                # What an ended process has spent stays spent.
                self._spent_s[process.pid] = times.user + times.system
                resident += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, resident)
        self._samples.append((time.time() * 1000, sum(self._spent_s.values())))

    def _family(self) -> Iterable[psutil.Process]:
        for pid in self._pids():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(pid)
                yield from (parent, *parent.children(recursive=True))
