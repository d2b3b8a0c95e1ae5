"""Program: everything one process of ingestion does, from start to drain."""

import asyncio
import gc
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from jobs.errors import SentinelError
from jobs.ingestion.buffer import Buffer
from jobs.ingestion.front import Front
from jobs.ingestion.request_metrics import RequestMetrics
from jobs.ingestion.settings import IngestionSettings, load
from schemas.prepared import prepare_types

if TYPE_CHECKING:
    from jobs.ingestion.rejected_letters import RejectedLetters

_DRAIN_S: Final = 20.0
"""What a stop waits for the buffer to be delivered; the rest stays on the disk."""
_LETTERS_S: Final = 5.0
_LOOK_S: Final = 2.0
"""How often files are looked at for changes."""
_log: Final = logging.getLogger("jobs.ingestion")


class Outlet(Protocol):
    """Where the buffer is emptied into: Kafka, or a gateway."""

    last_error: str

    def start(self) -> None:
        """Begin."""

    def stop(self, deadline_s: float) -> int:
        """Empty the buffer as far as the time allows; return how many events are left."""


class Program:
    """One process, made from its settings; `config` is the file they are from."""

    def __init__(self, settings: IngestionSettings, folder: Path, config: Path | None = None) -> None:
        self._settings = settings
        self._folder = folder
        self._config = config

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises SentinelError when something cannot be used."""
        settings = self._settings
        state = self._folder / settings.buffer.folder
        buffer = Buffer(msgspec.structs.replace(settings.buffer, folder=state))
        outlet = self._outlet(buffer)
        metrics = RequestMetrics()
        letters = self._letters(metrics)
        front = Front(
            settings,
            self._folder,
            buffer,
            complaint=lambda: outlet.last_error,
            metrics=metrics,
            keep=letters.keep if letters else None,
        )
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload, front)
        prepare_types()
        outlet.start()
        await front.start()
        listeners = self._listeners(front, loop)
        look_out = asyncio.create_task(self._look_out(front))
        # What is loaded by now stays: the garbage collector need not look through it while requests wait.
        gc.collect()
        gc.freeze()
        await stopping.wait()

        _log.info("draining: %d events in the buffer", buffer.buffered)
        look_out.cancel()
        for listener in listeners:
            await asyncio.to_thread(listener.stop)
        await front.stop()
        buffer.stop_taking_in()
        left = await asyncio.to_thread(outlet.stop, _DRAIN_S)
        if letters is not None:
            await asyncio.to_thread(letters.close, _LETTERS_S)
        buffer.close()
        _log.info("stopped: %d events wait for the next start", left)

    def _outlet(self, buffer: Buffer) -> Outlet:
        settings = self._settings
        if settings.role == "sidecar":
            from jobs.ingestion.sidecar.forwarder import Forwarder  # noqa: PLC0415 - the other role needs none of it

            return Forwarder(buffer, settings.forward, self._folder)
        from confluent_kafka import KafkaException  # noqa: PLC0415

        from jobs.ingestion.delivery import Delivery, DeliverySettings  # noqa: PLC0415

        try:
            return Delivery(
                buffer,
                DeliverySettings(
                    bootstrap_servers=settings.kafka.bootstrap_servers,
                    topic=settings.kafka.telemetry_topic,
                    dead_letters=settings.kafka.dead_letter_topic,
                    extra=settings.kafka.client,
                ),
            )
        except KafkaException as error:
            raise SentinelError(f"kafka: librdkafka refuses the settings in `client`: {error.args[0].str()}.") from None

    def _letters(self, metrics: RequestMetrics) -> "RejectedLetters | None":
        if self._settings.role == "sidecar":
            return None
        from jobs.ingestion.rejected_letters import RejectedLetters  # noqa: PLC0415

        return RejectedLetters(self._settings.kafka, metrics)

    def _listeners(self, front: Front, loop: asyncio.AbstractEventLoop) -> list[Any]:
        if not self._settings.topics:
            return []
        from jobs.ingestion.kafka_listener import KafkaListener  # noqa: PLC0415

        kafka = self._settings.kafka
        listeners = [KafkaListener(topic, kafka, front.reception, loop) for topic in self._settings.topics]
        for listener in listeners:
            listener.start()
        return listeners

    def _reload(self, front: Front) -> None:
        """Read keys, limits and prices again; what cannot be read stays as it was."""
        try:
            front.reload(load(self._config).limits if self._config is not None else None)
        except SentinelError as problem:
            _log.error("not reloaded, the previous keys, limits and prices hold: %s", problem)
        else:
            _log.info("keys, limits and prices were read again")

    async def _look_out(self, front: Front) -> None:
        """Reload when one of the files has changed."""
        files = (*front.files, *((self._config,) if self._config else ()))
        before = [_stamp(file) for file in files]
        while True:
            await asyncio.sleep(_LOOK_S)
            now = [_stamp(file) for file in files]
            if now != before:
                before = now
                self._reload(front)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
