"""Dead letters of ingestion for events that Kafka refuses for good."""

from base64 import b64encode
from typing import Final

from jobs.ingestion.buffer import Waiting
from schemas.codec import encode
from schemas.dead_letter import PAYLOAD_BYTES_MAX, DeadLetter, RejectReason

_TOPIC: Final = "ingestion"
"""In place of the topic of origin: the event was in none."""


def refused_by_kafka(event: Waiting, *, too_large: bool, detail: str) -> bytes:
    """Return the dead letter of an event that Kafka does not take, with its bytes."""
    return encode(
        DeadLetter(
            dead_letter_id=f"{_TOPIC}-{event.tenant}-{event.number}",
            reason=RejectReason.TOO_LARGE if too_large else RejectReason.UNDECODABLE,
            detail=detail,
            topic=_TOPIC,
            partition=0,
            offset=event.number,
            payload_base64=b64encode(event.value[:PAYLOAD_BYTES_MAX]).decode(),
            payload_size=len(event.value) if len(event.value) > PAYLOAD_BYTES_MAX else None,
            key_base64=b64encode(event.key).decode(),
        )
    )
