"""Answering: what every request is held in: a fault of ours is refused, and the outcome is counted."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jobs.ingestion.outcome import RETRY_AFTER_S, Refusal, RefusedError
from jobs.ingestion.request_metrics import RequestMetrics

_log: Final = logging.getLogger(__name__)


@contextmanager
def answering(metrics: RequestMetrics, way: str) -> Iterator[None]:
    """Count how the work inside ends and how long it takes. Raises RefusedError, and no other Exception.

    What is cancelled, since the sender is gone, was abandoned.
    """
    began = time.perf_counter()
    outcome = "abandoned"
    try:
        yield
        outcome = "taken"
    except RefusedError as refused:
        outcome = refused.refusal.name.lower()
        raise
    except Exception:  # noqa: BLE001 - a fault of ours gets an answer, which tells nothing of our insides
        _log.exception("a request failed")
        outcome = Refusal.FAULT.name.lower()
        raise RefusedError(
            Refusal.FAULT, "The server failed; nothing was taken.", retry_after_s=RETRY_AFTER_S
        ) from None
    finally:
        metrics.answered(way, outcome, time.perf_counter() - began)
