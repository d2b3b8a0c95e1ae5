"""Keyed logic: a pure state machine for one key, which the runtime supplies with state, order and time.

One Flink adapter runs any of them: it keys items by a string, keeps the bytes of `encode`, and registers event-time
timers. `KeyedRun` does the same in one process. Everything a key wants is returned in a `Step`, so the logic needs no
context object. `tests/conformance/test_keyed_logic.py` holds the laws every implementation obeys.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

Item = TypeVar("Item")
State = TypeVar("State")
Output = TypeVar("Output")


class Step(Struct, Generic[State, Output], frozen=True):
    """What one key wants after one input: its next state, its outputs and its next wake-up.

    `state` is the very object that was given when nothing changed, so that an adapter may skip the write; None forgets
    the key. `wake_at_ms` is event time; None asks for no timer. A later step may name an earlier or later time: timers
    are hints and are never deleted.
    """

    state: State | None
    outputs: tuple[Output, ...] = ()
    wake_at_ms: int | None = None


class KeyedLogic(Protocol[Item, State, Output]):
    """A pure state machine for one key: same state and input, same step; neither is changed.

    Restarting between any two inputs, that is `decode(encode(state))`, changes nothing. Time comes with the items and
    the wake-ups only. The state's size is bounded and stated by the implementation.
    """

    @property
    def state_version(self) -> int:
        """Version in the first byte of every encoded state, 1 to 255; every released version stays readable."""
        ...

    def encode(self, state: State) -> bytes:
        """Return the state as one version byte and MessagePack."""
        ...

    def decode(self, data: bytes) -> State:
        """Return the state that `encode` wrote; raises ValueError for an unknown version or foreign bytes."""
        ...

    def decode_item(self, data: bytes) -> Item:
        """Return the item that stands in JSON bytes; raises ValueError if none does."""
        ...

    def encode_output(self, output: Output) -> tuple[str, str, bytes]:
        """Return the name of the stream an output belongs to, of a closed set, its Kafka key, and its JSON bytes."""
        ...

    def on_item(self, state: State | None, item: Item) -> Step[State, Output]:
        """Return the step after one item; `state` is None for a key that is new or was forgotten."""
        ...

    def on_wake(self, state: State, at_ms: int) -> Step[State, Output]:
        """Return the step after event time has passed `at_ms`.

        A stale wake-up, one that the state no longer waits for, gives the same state and no outputs. A forgotten key
        is not woken.
        """
        ...


class KeyedRun(Generic[Item, State, Output]):
    """All keys of a keyed logic in one process, with timers like Flink's: for backtests, and for tests of the logic.

    Timers are kept per key and time, are never deleted, and fire in order of time as event time passes.
    """

    def __init__(self, logic: KeyedLogic[Item, State, Output]) -> None:
        """Begin with no keys."""
        self.logic = logic
        self.states: dict[str, State] = {}
        self.timers: list[tuple[int, str]] = []
        self.pending: set[tuple[int, str]] = set()

    def send(self, key: str, item: Item) -> tuple[Output, ...]:
        """Return the outputs of a key for one item."""
        return self.after(key, self.logic.on_item(self.states.get(key), item))

    def pass_time(self, watermark_at_ms: int) -> Iterator[tuple[str, tuple[Output, ...]]]:
        """Fire the timers up to a watermark; yield each key with its outputs, those without outputs left out."""
        while self.timers and self.timers[0][0] <= watermark_at_ms:
            at_ms, key = heappop(self.timers)
            self.pending.discard((at_ms, key))
            state = self.states.get(key)
            if state is None:
                continue
            outputs = self.after(key, self.logic.on_wake(state, at_ms))
            if outputs:
                yield key, outputs

    def restart(self) -> None:
        """Turn every state into bytes and back, as a restart from a checkpoint does."""
        self.states = {key: self.logic.decode(self.logic.encode(state)) for key, state in self.states.items()}

    def after(self, key: str, step: Step[State, Output]) -> tuple[Output, ...]:
        """Keep what a step says about a key and return its outputs."""
        if step.state is None:
            self.states.pop(key, None)
        else:
            self.states[key] = step.state
        if step.wake_at_ms is not None and (step.wake_at_ms, key) not in self.pending:
            self.pending.add((step.wake_at_ms, key))
            heappush(self.timers, (step.wake_at_ms, key))
        return step.outputs
