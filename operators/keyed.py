"""Keyed: runs any `KeyedLogic` on a keyed stream; state is versioned bytes, wake-ups are event-time timers."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ListState, ListStateDescriptor, ValueState, ValueStateDescriptor

from operators.lines import LINES, TIMED_LINES
from operators.metrics import OperatorMetrics
from schemas.incident import Incident
from udfs.keyed_logic import KeyedLogic, Step

OUTPUTS = {name: OutputTag(name, LINES) for name in ("anomalies", "incidents")}
"""Streams that a keyed logic may name in `encode_output`: lines of key, tab and JSON."""
NOTICES = OutputTag("notices", TIMED_LINES)
"""The third: what one keyed logic tells another, by tenant."""

_ITEM, _WAKE = b"i", b"w"
_STEPS_APART: Final = 100
"""Steps that may lie between the stored bytes and the state; each is taken again after a restart."""
_KEYS_RUNNING: Final = 1_000
"""Keys whose state is kept in memory."""


class _Running(NamedTuple):
    """A key's state in memory, and how many steps lie between it and the bytes that are stored."""

    state: Any
    steps: int


class RunKeyedLogic(KeyedProcessFunction):
    """Feeds items, lines of JSON, to a pure state machine; everything it emits goes to side outputs.

    Stored are bytes of the state and what has been taken since they were made: a large state costs as much to encode as
    many items to take. The logic is pure, so that taking them again gives the same state.
    """

    def __init__(self, logic: KeyedLogic[Any, Any, Any], state_name: str) -> None:
        """Take the logic and the name its state has in savepoints."""
        self._logic = logic
        self._state_name = state_name

    def open(self, runtime_context: RuntimeContext) -> None:
        """Acquire the state of the current key."""
        self._stored: ValueState = runtime_context.get_state(
            ValueStateDescriptor(self._state_name, Types.PICKLED_BYTE_ARRAY())
        )
        self._since: ListState = runtime_context.get_list_state(
            ListStateDescriptor(f"{self._state_name}-since", Types.PICKLED_BYTE_ARRAY())
        )
        self._running: OrderedDict[str, _Running] = OrderedDict()
        self._metrics = OperatorMetrics(runtime_context)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Take items."""
        yield from self._take(_ITEM + value, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Wake the key; a stale timer changes nothing."""
        yield from self._take(_WAKE + str(timestamp).encode(), ctx)

    def _take(self, taken: bytes, ctx: Any) -> Iterator[Any]:
        key = ctx.get_current_key()
        before = self._running.pop(key, None) or self._load()
        state, steps, outputs, wakes = before.state, before.steps, list[Any](), set[int]()
        for step in self._steps(state, taken):
            state, steps = step.state, steps + 1
            outputs += step.outputs
            if step.wake_at_ms is not None:
                wakes.add(step.wake_at_ms)
        if state is None:
            self._stored.clear()
            self._since.clear()
        else:
            self._running[key] = self._keep(before, state, steps, taken)
            if len(self._running) > _KEYS_RUNNING:
                self._running.popitem(last=False)
        for wake_at_ms in wakes:
            ctx.timer_service().register_event_time_timer(wake_at_ms)
        yield from self._told(outputs)

    def _told(self, outputs: list[Any]) -> Iterator[Any]:
        lines: dict[str, list[bytes]] = {}
        for output in outputs:
            name, key, data = self._logic.encode_output(output)
            if isinstance(output, Incident):
                self._metrics.count_incident(output)
            between = b"\t\t" if name == NOTICES.tag_id else b"\t"
            lines.setdefault(name, []).append(key.encode() + between + data)
        for name, some in lines.items():
            together = b"\n".join(some)
            yield (NOTICES, Row(together, 0)) if name == NOTICES.tag_id else (OUTPUTS[name], together)

    def _load(self) -> _Running:
        data = self._stored.value()
        state, steps = None if data is None else self._logic.decode(data), 0
        for taken in self._since.get() or ():
            for step in self._steps(state, taken):
                state, steps = step.state, steps + 1
        return _Running(state, steps)

    def _steps(self, state: Any, taken: bytes) -> Iterator[Step[Any, Any]]:
        """Yield the steps of a state for what was taken at once."""
        what, rest = taken[:1], taken[1:]
        if what == _WAKE:
            yield Step(None, (), None) if state is None else self._logic.on_wake(state, int(rest))
            return
        for item in rest.split(b"\n"):
            step = self._logic.on_item(state, self._logic.decode_item(item))
            state = step.state
            yield step

    def _keep(self, before: _Running, state: Any, steps: int, taken: bytes) -> _Running:
        if state is before.state:
            return before
        if before.steps < _STEPS_APART:
            self._since.add(taken)
            return _Running(state, steps)
        self._stored.update(self._logic.encode(state))
        self._since.clear()
        return _Running(state, 0)
