"""Deliveries: every written notification is tried until its receiver took it, or it is given up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from msgspec import Struct

from jobs.dispatch.core import Batch
from jobs.dispatch.engine import Engine
from jobs.dispatch.outbox.changes import NotificationState, Try
from jobs.dispatch.outbox.store import DeposedError, StoredNotification
from udfs.alerting.memory import Earlier
from udfs.alerting.notification import Notification

LOG = logging.getLogger("dispatch.deliveries")
AT_ONCE: Final = 8
"""Tries that go on at the same time for one channel of one receiver; more connections cost more than they bring."""
_DETAIL_MAX: Final = 500


class Answer(Struct, frozen=True, kw_only=True):
    """What came of one try."""

    taken: bool
    detail: str = ""
    """One sentence without secrets."""
    retry_in_ms: int | None = None
    """When another try is worth while; None gives the notification up."""
    reference: str = ""
    """What the receiver calls the message it took."""
    reached: frozenset[str] = frozenset()
    """Recipients who have it after a try that failed for others."""


Send = Callable[[Notification, int, Earlier], Awaitable[Answer]]
"""Makes one try, the number of which counts from 1, knowing what earlier messages have left."""


class _Delivery:
    """One notification on its way."""

    def __init__(self, notification: Notification) -> None:
        self.notification = notification
        self.withdrawn = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Deliveries:
    """The notifications under way. To one channel about one group they go one after another, in order."""

    def __init__(self, engine: Engine, send: Send) -> None:
        self._engine = engine
        self._send = send
        self._draining = False
        self._under_way: dict[str, _Delivery] = {}
        self._last: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._slots: dict[tuple[str, str], asyncio.Semaphore] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def written(self, batch: Batch) -> None:
        """Begin to send what has been written, and end what others have taken the place of."""
        for notification_id in batch.withdrawn:
            if (delivery := self._under_way.get(notification_id)) is not None:
                delivery.withdrawn.set()
        for notification in batch.notifications:
            self._begin(notification, tries=1, not_before_at_ms=0, is_written=True)

    def resume(self, stored: StoredNotification, notification: Notification) -> None:
        """Go on with what another run has left; a try that had begun may have been heard, and is made again."""
        if stored.state is NotificationState.SENDING:
            LOG.warning(
                "notification %s to %s %s: the last run ended during try %d; it is sent again under the same "
                "identifier",
                stored.notification_id,
                stored.receiver,
                stored.channel,
                stored.tries,
            )
        self._begin(notification, tries=stored.tries + 1, not_before_at_ms=stored.not_before_at_ms, is_written=False)

    async def drain(self, patience_s: float) -> None:
        """Return when no try is under way any more, or patience is at its end; what is left stays in the outbox."""
        self._draining = True
        for delivery in self._under_way.values():
            delivery.withdrawn.set()
        tasks = [delivery.task for delivery in self._under_way.values() if delivery.task is not None]
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=patience_s)
            for task in left:
                task.cancel()
            if left:
                LOG.warning("%d notifications are not delivered yet; the next start goes on with them", len(left))
                await asyncio.wait(left)

    def _begin(self, notification: Notification, *, tries: int, not_before_at_ms: int, is_written: bool) -> None:
        place = notification.group_key, notification.receiver, notification.channel
        delivery = _Delivery(notification)
        self._under_way[notification.notification_id] = delivery
        before = self._last.get(place)
        running = self._deliver(delivery, before, tries, not_before_at_ms, is_written=is_written)
        task = asyncio.create_task(running, name=f"notification {notification.notification_id}")
        delivery.task = task
        self._last[place] = task
        task.add_done_callback(partial(self._ended, delivery, place))

    def _ended(self, delivery: _Delivery, place: tuple[str, str, str], task: asyncio.Task[None]) -> None:
        identifier = delivery.notification.notification_id
        if self._under_way.get(identifier) is delivery:
            del self._under_way[identifier]
        if self._last.get(place) is task:
            del self._last[place]
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("notification %s: %s", identifier, error, exc_info=error)

    async def _deliver(
        self,
        delivery: _Delivery,
        before: asyncio.Task[None] | None,
        tries: int,
        not_before_at_ms: int,
        *,
        is_written: bool,
    ) -> None:
        notification = delivery.notification
        if before is not None:
            await asyncio.wait([before])
        try:
            await self._until(not_before_at_ms, delivery.withdrawn)
            while not delivery.withdrawn.is_set():
                if not is_written:
                    await self._write(Try(notification.notification_id, tries, self._engine.clock()))
                if await self._tried(delivery, tries):
                    return
                is_written = False
                tries += 1
        except DeposedError:
            # Whoever leads now finds it in the outbox.
            return

    async def _tried(self, delivery: _Delivery, tries: int) -> bool:
        """Make one try; return whether it was the last. Otherwise the time for the next one has come."""
        notification = delivery.notification
        identifier = notification.notification_id
        core = self._engine.core
        place = notification.receiver, notification.channel
        async with self._slots.setdefault(place, asyncio.Semaphore(AT_ONCE)):
            try:
                answer = await self._send(notification, tries, core.memory.earlier(notification))
            except Exception as error:
                LOG.exception("notification %s to %s %s", identifier, *place)
                answer = Answer(taken=False, detail=f"fault in the channel ({type(error).__name__})")
        detail = answer.detail[:_DETAIL_MAX]
        if answer.taken:
            await self._engine.do(lambda now_ms: core.sent(notification, detail, now_ms, answer.reference))
            return True
        now_ms = self._engine.clock()
        at_ms = now_ms + (answer.retry_in_ms or 0)
        is_late = notification.deadline_at_ms is not None and at_ms >= notification.deadline_at_ms
        if answer.retry_in_ms is None or is_late:
            LOG.warning("notification %s to %s %s is given up after try %d: %s", identifier, *place, tries, detail)
            await self._engine.do(lambda now_ms: core.failed(notification, detail, now_ms, answer.reached))
            return True
        LOG.info("notification %s to %s %s: try %d failed: %s", identifier, *place, tries, detail)
        if delivery.withdrawn.is_set() and not self._draining:
            return True
        await self._engine.do(lambda _: core.wait(notification, at_ms, detail, answer.reached))
        await self._until(at_ms, delivery.withdrawn)
        return False

    async def _until(self, at_ms: int, withdrawn: asyncio.Event) -> None:
        wait_s = (at_ms - self._engine.clock()) / 1_000
        if wait_s > 0:
            try:
                await asyncio.wait_for(withdrawn.wait(), wait_s)
            except TimeoutError:
                return

    async def _write(self, begun: Try) -> None:
        await self._engine.do(lambda _: self._engine.core.write(begun))
