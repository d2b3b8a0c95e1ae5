"""Laws that every keyed logic obeys; one that has no items to be tested with fails here."""

import importlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import udfs
from tests.anomaly_stories import provider_items, tenant_items, watermarks
from udfs.correlation import Correlation, ProviderCorrelation
from udfs.keyed_logic import KeyedLogic, KeyedRun

GOLDEN = Path(__file__).parents[1] / "golden" / "state"
FAR_MS = 86_400_000

CASES: dict[type[Any], tuple[SearchStrategy[Any], str]] = {
    Correlation: (tenant_items(), "correlation"),
    ProviderCorrelation: (provider_items(), "provider-correlation"),
}
"""Items to test each logic with, and the name of its golden states."""

EVERY_LOGIC = pytest.mark.parametrize("logic", CASES, ids=lambda logic: logic.__name__)


def found_logics() -> set[type[Any]]:
    """Return every class of `udfs` that looks like keyed logic; only modules that define one are imported."""
    folder = Path(str(udfs.__file__)).parent
    classes: set[type[Any]] = set()
    for path in folder.rglob("*.py"):
        if "def on_wake(" in path.read_text():
            name = ".".join(("udfs", *path.relative_to(folder).with_suffix("").parts))
            members = vars(importlib.import_module(name)).values()
            classes |= {each for each in members if isinstance(each, type) and hasattr(each, "on_wake")}
    return classes - {KeyedLogic}


def story(logic: type[Any]) -> SearchStrategy[list[Any]]:
    """Return a strategy for lists of items and, as integers, watermarks."""
    return st.lists(st.one_of(CASES[logic][0], CASES[logic][0], watermarks()), max_size=25)


def told(run: KeyedRun[Any, Any, Any], word: Any) -> list[Any]:
    """Return the outputs of a run for one item or watermark."""
    if isinstance(word, int):
        return [output for _, outputs in run.pass_time(word) for output in outputs]
    return list(run.send("key", word))


def test_every_logic_is_under_conformance() -> None:
    assert found_logics() == set(CASES)


@EVERY_LOGIC
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_restart_between_any_two_inputs_is_invisible(logic: type[Any], data: st.DataObject) -> None:
    steady, restarted = KeyedRun(logic()), KeyedRun(logic())
    for word in data.draw(story(logic)):
        if data.draw(st.booleans()):
            restarted.restart()
        assert told(restarted, word) == told(steady, word)
    assert restarted.states == steady.states
    assert restarted.timers == steady.timers


@EVERY_LOGIC
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_state_and_item_are_not_changed(logic: type[Any], data: st.DataObject) -> None:
    machine, state = logic(), None
    for item in data.draw(st.lists(CASES[logic][0], max_size=15)):
        before = state and machine.encode(state), msgspec.json.encode(item)
        first, second = machine.on_item(state, item), machine.on_item(state, item)
        assert first == second
        assert (state and machine.encode(state), msgspec.json.encode(item)) == before
        state = first.state


@EVERY_LOGIC
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_stale_wake_up_is_harmless(logic: type[Any], data: st.DataObject) -> None:
    machine = logic()
    step = machine.on_item(None, data.draw(CASES[logic][0]))
    for item in data.draw(st.lists(CASES[logic][0], max_size=15)):
        step = machine.on_item(step.state, item)
        state = step.state
        assert state is not None
        stale = machine.on_wake(state, step.wake_at_ms - data.draw(st.sampled_from((1, 1_000, FAR_MS))))
        assert stale.state is state
        assert stale.outputs == ()
        assert stale.wake_at_ms == step.wake_at_ms
    due = machine.on_wake(step.state, step.wake_at_ms)
    if due.state is not None:
        again = machine.on_wake(due.state, step.wake_at_ms)
        assert again.state is due.state
        assert again.outputs == ()


@EVERY_LOGIC
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_key_is_forgotten_when_nothing_more_comes(logic: type[Any], data: st.DataObject) -> None:
    run = KeyedRun(logic())
    words = data.draw(story(logic))
    for word in words:
        told(run, word)
    ends = [word for word in words if isinstance(word, int)]
    told(run, max([1_800_000_000_000, *ends]) + FAR_MS)
    assert run.states == {}
    assert run.timers == []


@EVERY_LOGIC
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_keys_are_independent(logic: type[Any], data: st.DataObject) -> None:
    items = st.lists(CASES[logic][0], max_size=8)
    stories = {"left": data.draw(items), "right": data.draw(items)}
    alone = {key: [KeyedRun(logic())] for key in stories}
    together = KeyedRun(logic())
    for position in range(8):
        for key, words in stories.items():
            if position < len(words):
                assert together.send(key, words[position]) == alone[key][0].send(key, words[position])


@EVERY_LOGIC
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_items_and_outputs_are_json(logic: type[Any], data: st.DataObject) -> None:
    machine = logic()
    item = data.draw(CASES[logic][0])
    assert machine.decode_item(msgspec.json.encode(item)) == item
    for output in machine.on_item(None, item).outputs:
        stream, _, record = machine.encode_output(output)
        assert stream in {"anomalies", "incidents", "notices"}
        assert isinstance(msgspec.json.decode(record), dict)


@EVERY_LOGIC
@pytest.mark.parametrize("record", [b"", b"[]", b"{}", b'{"kind":"sunday"}', b"\xff"])
def test_other_json_is_no_item(logic: type[Any], record: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        logic().decode_item(record)


@EVERY_LOGIC
@pytest.mark.parametrize("state", [b"", b"\x00", b"\xff\x90", b"\x01\x91"])
def test_foreign_state_is_refused(logic: type[Any], state: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        logic().decode(state)


@EVERY_LOGIC
def test_every_released_state_is_read(logic: type[Any]) -> None:
    name = CASES[logic][1]
    machine = logic()
    versions = range(1, machine.state_version + 1)
    released = [(GOLDEN / f"{name}-v{version}.bin").read_bytes() for version in versions]
    assert [state[0] for state in released] == list(versions)
    for state in released:
        read = machine.decode(state)
        assert machine.decode(machine.encode(read)) == read
    # What this version writes is what its golden state says, byte for byte.
    assert machine.encode(machine.decode(released[-1])) == released[-1]
