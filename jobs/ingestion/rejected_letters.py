"""Dead letters of items that cannot become events: why, and their bytes, for whoever has to find out at the sender's.

The sender was told, and the ledger has counted them; so these are kept as well as can be done without holding anyone
up: a bounded number a second, and those that Kafka does not take in time are counted as left out.
"""

import hashlib
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from jobs.ingestion.request_metrics import RequestMetrics
from jobs.ingestion.settings import KafkaSettings
from schemas.codec import encode
from schemas.dead_letter import PAYLOAD_BYTES_MAX, DeadLetter
from schemas.time import from_at_ms
from udfs.ingestion.rate import Limits, RateState
from udfs.normalise.normalised import Rejection

TOPIC: Final = "ingestion"
"""In place of the topic of origin: the item was in none."""
_RATE: Final = Limits(events_per_s=100, bytes_per_s=4 * 1024 * 1024, burst_s=10)
_QUEUED_KB: Final = 32 * 1024
_TIMEOUT_MS: Final = 60_000
_LARGEST_BYTES: Final = 12 * 1024 * 1024


class RejectedLetters:
    """Writes them, of the gateway; `keep` never waits."""

    def __init__(
        self, kafka: KafkaSettings, metrics: RequestMetrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._topic = kafka.dead_letter_topic
        self._clock = clock
        self._rate = RateState(_RATE, clock())
        self._left_out = metrics.counter(
            "sentinel_ingestion_dead_letters_left_out",
            "Rejected items of which no dead letter was written: too many at a time, or Kafka away.",
        )
        settings: dict[str, Any] = {
            "bootstrap.servers": kafka.bootstrap_servers,
            "message.max.bytes": _LARGEST_BYTES,
            "message.timeout.ms": _TIMEOUT_MS,
            "queue.buffering.max.kbytes": _QUEUED_KB,
            "linger.ms": 50,
            "log_level": 0,
            **kafka.client,
        }
        self._producer = Producer(settings)

    def keep(self, tenant: str, items: Iterable[tuple[Rejection, bytes]]) -> None:
        """Write what was rejected of a request."""
        for rejection, payload in items:
            admitted = self._rate.admit(self._clock(), events=1, bytes_=len(payload)).admitted
            if not admitted:
                self._left_out.inc()
                continue
            try:
                self._producer.produce(
                    self._topic, encode(letter(tenant, rejection, payload)), tenant, on_delivery=self._reported
                )
            except BufferError:
                self._left_out.inc()
        self._producer.poll(0)

    def close(self, deadline_s: float) -> None:
        """Send what is under way, for so long at most."""
        self._left_out.inc(self._producer.flush(deadline_s))

    def _reported(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._left_out.inc()


def letter(tenant: str, rejection: Rejection, payload: bytes) -> DeadLetter:
    """Return the dead letter of an item; its id is a function of tenant and bytes, so repeats are visible."""
    digest = hashlib.blake2b(payload, digest_size=12, key=tenant.encode()[:64]).hexdigest()
    return DeadLetter(
        dead_letter_id=f"{TOPIC}-{digest}",
        reason=rejection.reason,
        detail=rejection.detail,
        topic=TOPIC,
        partition=0,
        offset=rejection.index,
        payload_base64=b64encode(payload[:PAYLOAD_BYTES_MAX]).decode(),
        payload_size=len(payload) if len(payload) > PAYLOAD_BYTES_MAX else None,
        key_base64=b64encode(tenant.encode()).decode(),
        timestamp=from_at_ms(int(time.time() * 1_000)),
    )
