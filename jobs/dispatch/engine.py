"""The loop of dispatch: what happened is decided on, written, and only then acted upon.

Everything that came in while a batch was being written makes up the next batch, so that one write to the disk serves
as many alerts as there are.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar

from jobs.dispatch.clock import Clock
from jobs.dispatch.core import Batch, Core
from jobs.dispatch.options import Options
from jobs.dispatch.outbox.changes import Change, Prune
from jobs.dispatch.outbox.store import DeposedError, OutboxStore, StoreUnavailableError

LOG = logging.getLogger("dispatch")
_T = TypeVar("_T")
_LONGEST_WAIT_S: Final = 1.0
_REFUSED_WAIT_S: Final = 0.5
_PRUNE_EVERY_MS: Final = 60_000
_LOOK_EVERY_MS: Final = 1_000


class Follower(Protocol):
    """Who acts on what has been written."""

    def written(self, batch: Batch) -> None:
        """Act on a batch."""


class Engine:
    """Runs a core on a store. All methods belong to the event loop; the store is used by its one thread."""

    def __init__(
        self, core: Core, store: OutboxStore, store_thread: ThreadPoolExecutor, clock: Clock, options: Options
    ) -> None:
        self.core = core
        self.clock = clock
        self.followers: list[Follower] = []
        self.store_refuses = ""
        """Why the store does not take changes now; empty while it does."""
        self._store = store
        self._store_thread = store_thread
        self._options = options
        self._waiting: list[tuple[Callable[[int], Any], asyncio.Future[Any]]] = []
        self._something = asyncio.Event()
        self._closing = False
        self._pruned_at_ms = 0
        self._looked_at_ms = 0

    async def do(self, action: Callable[[int], _T]) -> _T:
        """Run an action on the core at a time of the engine's choice; return its result when all of it is written.

        What the action raises is raised here. Raises DeposedError when another instance leads.
        """
        if self._closing:
            raise DeposedError("This instance is stopping.")
        done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append((action, done))
        self._something.set()
        return await done

    async def ask(self, question: Callable[[OutboxStore], _T]) -> _T:
        """Return the store's answer to a question."""
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, question, self._store)

    async def run(self) -> None:
        """Go on until cancelled or closed. Raises DeposedError when this instance does not lead any more."""
        try:
            while True:
                await self._turn()
                if self._closing and not self._waiting:
                    return
                await self._wait()
        finally:
            self._closing = True
            _refuse((done for _, done in self._waiting), "This instance is stopping.")
            self._waiting = []

    def close(self) -> None:
        """Let `run` return when all that waits is written."""
        self._closing = True
        self._something.set()

    async def _turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._something.clear()
        now_ms = self.clock()
        answers = _acted(waiting, now_ms)
        self._housekeeping(now_ms)
        batch = self.core.advance(now_ms)
        try:
            if batch.changes:
                await self._write(batch.changes)
        except BaseException:
            _refuse((done for done, _ in answers), "The outbox was lost before this was written; send it again.")
            raise
        for done, answer in answers:
            if not done.done():
                done.set_result(answer)
        for follower in self.followers:
            follower.written(batch)

    def _housekeeping(self, now_ms: int) -> None:
        if now_ms - self._looked_at_ms >= _LOOK_EVERY_MS:
            self._looked_at_ms = now_ms
            self.core.look_again()
        if now_ms - self._pruned_at_ms >= _PRUNE_EVERY_MS:
            self._pruned_at_ms = now_ms
            self.core.write(Prune(now_ms - self._options.retention_ms, self._options.decisions_max))

    async def _write(self, changes: tuple[Change, ...]) -> None:
        """Write, for as long as it takes: what was decided must not be forgotten, and nothing is told before."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._store_thread, self._store.write, changes)
            except DeposedError:
                raise
            except StoreUnavailableError as error:
                if not self.store_refuses:
                    LOG.error("%s Nothing is accepted or sent until it does.", error)  # noqa: TRY400 - no fault of ours
                self.store_refuses = str(error)
                await asyncio.sleep(_REFUSED_WAIT_S)
            else:
                if self.store_refuses:
                    LOG.warning("The outbox takes changes again.")
                self.store_refuses = ""
                return

    async def _wait(self) -> None:
        """Return when something came in or is due."""
        if self._something.is_set():
            return
        at_ms = self.core.next_at_ms()
        wait_s = _LONGEST_WAIT_S if at_ms is None else min((at_ms - self.clock()) / 1_000, _LONGEST_WAIT_S)
        if wait_s > 0:
            try:
                await asyncio.wait_for(self._something.wait(), wait_s)
            except TimeoutError:
                return


def _acted(
    waiting: list[tuple[Callable[[int], Any], asyncio.Future[Any]]], now_ms: int
) -> list[tuple[asyncio.Future[Any], Any]]:
    """Run actions and return the answers of those that did not refuse."""
    answers: list[tuple[asyncio.Future[Any], Any]] = []
    for action, done in waiting:
        try:
            answers.append((done, action(now_ms)))
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it; nobody else's work ends with it
            if not done.done():
                done.set_exception(error)
    return answers


def _refuse(waiting: Iterable[asyncio.Future[Any]], why: str) -> None:
    for done in waiting:
        if not done.done():
            done.set_exception(DeposedError(why))
