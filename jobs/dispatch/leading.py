"""Leading: all that works while this instance is the one that decides."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from jobs.dispatch.clock import wall_clock
from jobs.dispatch.configuration import Configuration
from jobs.dispatch.core import Batch, Core
from jobs.dispatch.deliveries import Answer, Deliveries
from jobs.dispatch.engine import Engine
from jobs.dispatch.kafka.intake import Intake
from jobs.dispatch.kafka.publishing import Publisher
from jobs.dispatch.kafka.silence_watch import KEY, SilenceWatch
from jobs.dispatch.metrics import Metrics
from jobs.dispatch.native_configuration import parse
from jobs.dispatch.options import Options
from jobs.dispatch.outbox.changes import OFFSETS, STATE, NotificationState, Publish
from jobs.dispatch.outbox.store import Loaded, OutboxStore
from jobs.dispatch.sending import Sending
from jobs.errors import SentinelError
from jobs.topics import CONFIG, DEAD_LETTERS, SUMMARIES
from udfs.alerting.memory import Earlier
from udfs.alerting.notification import Notification

LOG = logging.getLogger("dispatch")
_GRACE_S: Final = 5.0


class Leading:
    """Engine, deliveries, Kafka, from the moment this instance leads; made in the event loop."""

    def __init__(
        self,
        options: Options,
        configuration: Configuration,
        loaded: Loaded,
        store: OutboxStore,
        store_thread: ThreadPoolExecutor,
        metrics: Metrics,
        *,
        external_url: str,
        reconfigured: Callable[[Configuration | SentinelError | None], None],
    ) -> None:
        self._options = options
        self._metrics = metrics
        self._external_url = external_url
        self._reconfigured = reconfigured
        self._sending = Sending(configuration, options)
        self._retired: list[Sending] = []
        settings = replace(configuration.settings, external_url=external_url)
        core = Core(
            settings,
            loaded,
            wall_clock(),
            publishes=bool(options.bootstrap_servers),
            definitions=configuration.definitions,
        )
        self.engine = Engine(core, store, store_thread, wall_clock, options)
        self._deliveries = Deliveries(self.engine, self._send)
        self._publisher: Publisher | None = None
        self._intake: Intake | None = None
        self._watch: SilenceWatch | None = None
        self.engine.followers = [self, self._deliveries]
        if options.bootstrap_servers:
            self._with_kafka(loaded)

    def _with_kafka(self, loaded: Loaded) -> None:
        servers = self._options.bootstrap_servers
        self._publisher = Publisher(self.engine, servers)
        self._publisher.begin(loaded.unpublished)
        self.engine.followers.append(self._publisher)
        self._intake = Intake(
            self.engine,
            servers,
            offsets={key: int(value) for key, value in loaded.kept.get(OFFSETS, {}).items()},
            first_look_back_ms=self.engine.core.dispatcher.settings.resolve_timeout_ms,
            links=self._options.links,
            reconfigure=self._on_topic,
            received=lambda topic, number: self._metrics.records.labels(topic).inc(number),
        )
        if self._options.silence_ms:
            kept = loaded.kept.get(STATE, {}).get(KEY)
            self._watch = SilenceWatch(self.engine, servers, SUMMARIES.name, self._options.silence_ms, kept)

    def written(self, batch: Batch) -> None:
        """Count what has been written."""
        for reason, number in Counter([decision.reason for decision in batch.decisions]).items():
            self._metrics.count_decisions(reason, number)
        for notification in batch.notifications:
            self._metrics.notifications.labels(kind_of(notification)).inc()
        for change in batch.changes:
            if isinstance(change, Publish) and change.topic == DEAD_LETTERS.name:
                # Its key is `topic-partition-offset`.
                self._metrics.dead_letters.labels(change.key.rsplit("-", 2)[0]).inc()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop, or deposed. Raises DeposedError, SentinelError."""
        for stored, notification in self.engine.core.unsent:
            if stored.state is NotificationState.SENDING:
                self._metrics.repeated.inc()
            self._deliveries.resume(stored, notification)
        engine = asyncio.create_task(self.engine.run(), name="engine")
        tasks = [engine]
        if self._intake is not None:
            tasks.append(asyncio.create_task(self._intake.run(), name="intake"))
        if self._watch is not None:
            tasks.append(asyncio.create_task(self._watch.run(), name="silence watch"))
        told = asyncio.create_task(stopping.wait(), name="stopping")
        try:
            await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            await self._close(engine)
            for task in tasks:
                if not task.done():
                    task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _close(self, engine: "asyncio.Task[None]") -> None:
        """Take nothing new in, wait for tries under way, and write what has come of them."""
        if self._intake is not None:
            await self._intake.close()
        patience_s = 0.0 if engine.done() else self._options.drain_s
        await self._deliveries.drain(patience_s)
        if self._publisher is not None:
            await self._publisher.close()
        self.engine.close()
        with suppress(TimeoutError):
            await asyncio.wait([engine], timeout=_GRACE_S)
        for each in (self._sending, *self._retired):
            await each.close()

    async def take_configuration(self, configuration: Configuration) -> None:
        """Go on under another configuration; tries under way end under the old one."""
        core = self.engine.core
        settings = replace(configuration.settings, external_url=self._external_url)
        sending = Sending(configuration, self._options, self._sending)
        self._retired.append(self._sending)
        self._sending = sending
        definitions = configuration.definitions

        def take(now_ms: int) -> None:
            core.take_settings(settings, now_ms)
            core.take_definitions(definitions, now_ms)

        await self.engine.do(take)

    def _on_topic(self, text: str | None) -> None:
        if text is None:
            LOG.info("%s holds no configuration any more; the file's is read again", CONFIG.name)
            self._reconfigured(None)
            return
        try:
            wanted: Configuration | SentinelError = parse(text, CONFIG.name, self._options.configuration.parent)
        except SentinelError as error:
            wanted = error
        self._reconfigured(wanted)

    async def _send(self, notification: Notification, tries: int, earlier: Earlier) -> Answer:
        kind = kind_of(notification)
        self._metrics.requests.labels(kind).inc()
        began_ms = self.engine.clock()
        answer = await self._sending.send(notification, tries, earlier)
        ended_ms = self.engine.clock()
        self._metrics.latency.labels(kind).observe((ended_ms - began_ms) / 1_000)
        if answer.taken:
            self._metrics.delay.labels(kind).observe((ended_ms - notification.created_at_ms) / 1_000)
        else:
            self._metrics.requests_failed.labels(kind).inc()
            if answer.retry_in_ms is None:
                self._metrics.failed.labels(kind, answer.detail.partition(":")[0] or "other").inc()
        return answer


def kind_of(notification: Notification) -> Any:
    """Return the kind of a notification's channel, which is Alertmanager's word `integration`."""
    return notification.channel.partition("[")[0]
