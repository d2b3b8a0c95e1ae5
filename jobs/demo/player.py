"""Player: a scene on its way to Kafka, in a thread of its own, faster than the clock."""

import time
from collections.abc import Iterable, Iterator
from threading import Event, Thread
from types import TracebackType
from typing import Self

from jobs.demo.scene import Scene
from jobs.replay.pace import paced
from jobs.replay.produce import TopicWriter
from jobs.replay.stream import Record

_JOIN_S = 30.0


class Player:
    """Plays a scene while it is entered; leaving stops it. `at_ms` and `records` say how far it is."""

    def __init__(self, scene: Scene, writer: TopicWriter, speed_up: float) -> None:
        self.at_ms = scene.start_at_ms
        self.records = 0
        self.events = 0
        self._scene = scene
        self._writer = writer
        self._speed_up = speed_up
        self._stop = Event()
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._play, name="player", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_JOIN_S)

    def is_finished(self) -> bool:
        """Return whether the broker has everything. Raises what went wrong on the way."""
        if self._failure is not None:
            raise self._failure
        return not self._thread.is_alive()

    def _play(self) -> None:
        try:
            records = paced(
                self._scene.records(self._writer.partitions),
                start_at_ms=self._scene.start_at_ms,
                speed_up=self._speed_up,
                now_s=time.monotonic,
                wait_s=self._wait,
            )
            self._writer.write(self._counted(records))
            self._writer.close()
        except Exception as error:  # noqa: BLE001 - it is raised where someone waits for it
            self._failure = error

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _counted(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            if self._stop.is_set():
                return
            self.records += 1
            self.events += record.partition is None
            self.at_ms = record.due_ms
            yield record
