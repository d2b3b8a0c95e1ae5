"""Silence watch: looks whether a topic still grows, and pulls the dead-man's switch when it does not."""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from msgspec import Struct

from jobs.dispatch.engine import Engine
from jobs.dispatch.outbox.changes import STATE, Keep
from udfs.alerting.dead_man import DeadMan, heard, not_heard

LOG = logging.getLogger("dispatch.silence")
KEY: Final = "dead_man"
"""Of the record that keeps the switch over restarts."""
_REQUEST_S: Final = 5.0
_LOOKS: Final = 10
"""Looks per time of silence."""
_SLOWEST_S: Final = 10.0


class Kept(Struct, frozen=True, array_like=True):
    """What a restart has to know: growth while nobody looked was a sign of life, no growth was none."""

    state: DeadMan = DeadMan()
    ends: dict[int, int] = {}


class SilenceWatch:
    """Reads no record: the ends of the partitions say whether any has come. Kafka out of reach is silence as well."""

    def __init__(self, engine: Engine, bootstrap_servers: str, topic: str, silence_ms: int, kept: bytes | None) -> None:
        self._engine = engine
        self._topic = topic
        self._silence_ms = silence_ms
        self._kept = Kept() if kept is None else msgspec.msgpack.decode(kept, type=Kept)
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": "sentinel-dispatch-watch", "log_level": 2}
        )

    async def run(self) -> None:
        """Look again and again."""
        loop = asyncio.get_running_loop()
        pause_s = min(self._silence_ms / 1_000 / _LOOKS, _SLOWEST_S)
        try:
            while True:
                ends = await loop.run_in_executor(None, self._look)
                await self._engine.do(partial(self._judge, ends))
                await asyncio.sleep(pause_s)
        finally:
            self._consumer.close()

    def _look(self) -> dict[int, int] | None:
        """Return the ends of the topic's partitions, None if Kafka does not tell."""
        with suppress(KafkaException):
            partitions = self._consumer.list_topics(self._topic, timeout=_REQUEST_S).topics[self._topic].partitions
            return {
                each: self._consumer.get_watermark_offsets(TopicPartition(self._topic, each), timeout=_REQUEST_S)[1]
                for each in partitions
            }
        return None

    def _judge(self, ends: dict[int, int] | None, now_ms: int) -> None:
        before = self._kept.ends
        step = heard if ends and ends != before and any(ends.values()) else not_heard
        state, alerts = step(self._kept.state, self._topic, now_ms, self._silence_ms)
        kept = Kept(state, before if ends is None else ends)
        if kept != self._kept:
            self._kept = kept
            self._engine.core.write(Keep(STATE, KEY, msgspec.msgpack.encode(kept)))
        if alerts:
            self._engine.core.take_alerts(alerts, now_ms)
