"""One process of dispatch: it follows until it leads, leads until it is deposed or told to stop."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, Final, TypeVar

from jobs.dispatch.api.app import Peer, application
from jobs.dispatch.clock import wall_clock
from jobs.dispatch.configuration import Configuration
from jobs.dispatch.engine import Engine
from jobs.dispatch.leading import Leading
from jobs.dispatch.metrics import Metrics
from jobs.dispatch.native_configuration import load
from jobs.dispatch.options import Options
from jobs.dispatch.outbox.opening import open_store
from jobs.dispatch.outbox.store import DeposedError, OutboxStore, StoreUnavailableError
from jobs.dispatch.web_server import WebServer
from jobs.errors import SentinelError
from schemas.prepared import prepare_types

LOG = logging.getLogger("dispatch")
_T = TypeVar("_T")
_ROUNDS: Final = (10_000, 10, 100)
"""Young objects, and rounds, after which the garbage collector looks at the young, the older and at last all."""
_FOLLOW_S: Final = 0.5
"""How often an instance that follows tries to lead, and so how long a takeover takes at most."""
_UNREACHABLE_S: Final = 1.0


class DispatchProcess:
    """What runs between start and stop."""

    def __init__(self, options: Options) -> None:
        """Read the configuration and open the outbox. Raises SentinelError if either cannot be."""
        prepare_types()
        self.options = options
        self.started_at_ms = wall_clock()
        self.metrics = Metrics()
        self.leader_address = ""
        self.configuration = self._loaded()
        self._store: OutboxStore = open_store(options.store)
        self._store_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._leading: Leading | None = None
        self._stopping = asyncio.Event()
        self._address = ""
        self._one_at_a_time = asyncio.Lock()
        self._said = ""
        self._spawned: set[asyncio.Task[None]] = set()
        self._trouble = "This instance has just started."
        self._is_shared = options.store.startswith(("postgresql://", "postgres://"))
        self.metrics.cluster.set(1 if self._is_shared else 0)
        self._took_configuration()

    # --- What the interface asks ------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine | None:
        """The engine of an instance that leads and is not about to stop."""
        return self._leading.engine if self._leading is not None and not self._stopping.is_set() else None

    def is_ready(self) -> str:
        """Return why this instance cannot work now; empty if it can."""
        if self._stopping.is_set():
            return "This instance is stopping."
        if self._leading is not None:
            return self._leading.engine.store_refuses
        return self._trouble

    def peers(self) -> list[Peer]:
        """Return this instance and the one that leads, if another may."""
        if not self._is_shared:
            return []
        addresses = dict.fromkeys((self._address, self.leader_address or self._address))
        return [Peer(address.removeprefix("http://"), address.removeprefix("http://")) for address in addresses]

    async def reload(self) -> None:
        """Read the configuration's file again. Raises SentinelError; the old one is in force then."""
        try:
            async with self._one_at_a_time:
                await self._take_now(await asyncio.to_thread(self._loaded))
        except SentinelError as error:
            self.metrics.config_ok.set(0)
            LOG.error("The configuration stays as it was: %s", error)  # noqa: TRY400 - no fault of ours
            raise

    async def _take(self, wanted: Configuration) -> None:
        """Go on under another configuration; several come into force in the order of their coming."""
        async with self._one_at_a_time:
            await self._take_now(wanted)

    async def _take_now(self, wanted: Configuration) -> None:
        if self._leading is not None:
            await self._leading.take_configuration(wanted)
        self.configuration = wanted
        self._took_configuration()

    # --- Start and stop -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until a signal says stop. Raises SentinelError if it cannot go on."""
        loop = asyncio.get_running_loop()
        server = WebServer(application(self), self.options.host, self.options.port)
        self._address = f"http://{self.options.advertised or server.address}"
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        serving = asyncio.create_task(server.run_until_told())
        working = asyncio.create_task(self._work())
        LOG.info("Listening on", extra={"fields": {"address": server.address}})
        try:
            await asyncio.wait([serving, working], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            try:
                await working
            finally:
                server.should_exit = True
                await serving
                await self._with_store(self._store.close)
                self._store_thread.shutdown()

    async def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if await self._with_store(self._store.lead):
                    await self._lead()
                    continue
                self.leader_address = await self._with_store(self._store.leader_address)
                self._now("", f"Another instance leads: {self.leader_address}")
                await self._pause(_FOLLOW_S)
            except DeposedError as error:
                self._now("This instance does not lead any more.", f"This instance leads no more: {error}")
            except StoreUnavailableError as error:
                self._now(str(error), str(error))
                await self._pause(_UNREACHABLE_S)

    async def _lead(self) -> None:
        loaded = await self._with_store(self._store.load)
        await self._with_store(lambda: self._store.announce(self._address))
        leading = Leading(
            self.options,
            self.configuration,
            loaded,
            self._store,
            self._store_thread,
            self.metrics,
            external_url=self.options.external_url or self._address,
            reconfigured=self._on_topic,
        )
        self._now("", "This instance leads.")
        self.leader_address = self._address
        self.metrics.leads.set(1)
        self.metrics.engine = leading.engine
        self._leading = leading
        # Full rounds of the garbage collector through all that lives take 60 ms with a few thousand groups: rarely.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_ROUNDS)
        try:
            await leading.run(self._stopping)
        finally:
            self._leading = None
            self.metrics.engine = None
            self.metrics.leads.set(0)

    def _on_hangup(self) -> None:
        self._spawn(self._reload_quietly())

    async def _reload_quietly(self) -> None:
        with contextlib.suppress(SentinelError):
            await self.reload()

    def _on_topic(self, wanted: Configuration | SentinelError | None) -> None:
        """Take a configuration that came over Kafka, say what is wrong with it, or go back to the file's."""
        if wanted is None:
            self._spawn(self._reload_quietly())
            return
        if isinstance(wanted, SentinelError):
            self.metrics.config_ok.set(0)
            LOG.error("The configuration stays as it was: %s", wanted)
            return
        self._spawn(self._take(wanted))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    # ------------------------------------------------------------------------------------------------------------------

    def _loaded(self) -> Configuration:
        return load(self.options.configuration)

    def _took_configuration(self) -> None:
        for warning in self.configuration.warnings:
            LOG.warning("%s: %s", self.options.configuration, warning)
        self.metrics.config_ok.set(1)
        self.metrics.config_at.set_to_current_time()
        digest = sha256(self.configuration.original.encode()).digest()
        self.metrics.config_hash.set(int.from_bytes(digest[:6], "big"))

    def _now(self, trouble: str, sentence: str) -> None:
        self._trouble = trouble
        if sentence != self._said:
            LOG.info("%s", sentence)
        self._said = sentence

    async def _with_store(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, call)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
