"""Control: rules and models as they reach operators by broadcast, kept in their broadcast state."""

import logging
from collections.abc import Iterable
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream.state import MapStateDescriptor

from operators.metrics import OperatorMetrics
from schemas.config_record import RULE_PREFIX
from schemas.dead_letter import DeadLetter
from udfs.control import MODEL_PREFIX, RULES_TOPIC, VERSIONS_MAX, Control

_LOG = logging.getLogger(__name__)

CONTROL_ROW = Types.ROW([Types.STRING(), Types.STRING(), Types.LONG()])
"""Kafka key, JSON (null removes), offset."""
CONTROL_STATE = MapStateDescriptor("control", Types.STRING(), Types.STRING())
"""What came after the snapshot that the job was built with, by Kafka key; the newest last."""

_SEPARATOR = "\x1e"
"""Between records of one key; JSON holds no such character unescaped."""


def load(control: Control, context: Any) -> None:
    """Take what the broadcast state holds, after a restart; it is readable with an element's context only."""
    for key, texts in context.get_broadcast_state(CONTROL_STATE).items():
        for text in texts.split(_SEPARATOR):
            control.apply(key, text)


def change(control: Control, value: Row, context: Any) -> list[DeadLetter]:
    """Take a change and store it; returns why it was refused, if it was."""
    key, text, offset = value[0] or "", value[1] or "", value[2]
    refused = control.apply(key, text, offset)
    if not refused:
        state = context.get_broadcast_state(CONTROL_STATE)
        # What was in force before may still be asked for, by records from before the change takes effect.
        earlier = (state.get(key) or "").split(_SEPARATOR) if text else []
        state.put(key, _SEPARATOR.join([*earlier, text][-VERSIONS_MAX:]))
    return refused


def announce(value: Row, refused: Iterable[DeadLetter], metrics: OperatorMetrics) -> None:
    """Tell the operator's log what a change did; one that is for others is not mentioned."""
    key = value[0] or ""
    refused = list(refused)
    announce_refused(refused, metrics)
    if not refused and key.startswith((RULE_PREFIX, MODEL_PREFIX)):
        what = "taken, in force from its effective_at_ms on" if value[1] else "removed"
        _LOG.info("%s: %s (offset %d)", key, what, value[2])


def announce_refused(refused: Iterable[DeadLetter], metrics: OperatorMetrics) -> None:
    """Tell log and metrics which rules and models are not in force, and why."""
    for each in refused:
        metrics.count("refused", kind="rule" if each.topic == RULES_TOPIC else "model")
        _LOG.warning("refused: %s (%s, offset %d)", each.detail, each.topic, each.offset)
