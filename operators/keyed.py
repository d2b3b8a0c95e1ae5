"""Keyed: runs any `KeyedLogic` on a keyed stream; state is versioned bytes, wake-ups are event-time timers."""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from operators.detect import KEYED_TEXT
from operators.metrics import OperatorMetrics
from schemas.incident import Incident
from udfs.keyed_logic import KeyedLogic, Step

OUTPUTS = {name: OutputTag(name, KEYED_TEXT) for name in ("anomalies", "incidents", "notices")}
"""The streams a keyed logic may name in `encode_output`; records carry the key they were made under."""


class RunKeyedLogic(KeyedProcessFunction):
    """Feeds items, rows `(key, JSON text)`, to a pure state machine; everything it emits goes to side outputs."""

    def __init__(self, logic: KeyedLogic[Any, Any, Any], state_name: str) -> None:
        """Take the logic and the name its state has in savepoints."""
        self._logic = logic
        self._state_name = state_name

    def open(self, runtime_context: RuntimeContext) -> None:
        """Acquire the state of the current key."""
        self._state: ValueState = runtime_context.get_state(
            ValueStateDescriptor(self._state_name, Types.PICKLED_BYTE_ARRAY())
        )
        self._metrics = OperatorMetrics(runtime_context)

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Take one item."""
        state = self._load()
        step = self._logic.on_item(state, self._logic.decode_item(value[1].encode()))
        yield from self._after(step, state, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Wake the key; a stale timer changes nothing."""
        state = self._load()
        if state is not None:
            yield from self._after(self._logic.on_wake(state, timestamp), state, ctx)

    def _load(self) -> Any:
        data = self._state.value()
        return None if data is None else self._logic.decode(data)

    def _after(self, step: Step[Any, Any], before: Any, ctx: Any) -> Iterator[Any]:
        if step.state is None:
            self._state.clear()
        elif step.state is not before:
            self._state.update(self._logic.encode(step.state))
        if step.wake_at_ms is not None:
            ctx.timer_service().register_event_time_timer(step.wake_at_ms)
        for output in step.outputs:
            name, key, data = self._logic.encode_output(output)
            if isinstance(output, Incident):
                self._metrics.count_incident(output)
            yield OUTPUTS[name], Row(key, data.decode())
