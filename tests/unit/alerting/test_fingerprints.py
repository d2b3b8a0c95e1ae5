"""The fingerprints of many label sets are those of each."""

from hypothesis import given
from hypothesis import strategies as st

from udfs.alerting.alert import fingerprint, fingerprints
from udfs.templates.go_time import time_of

_TEXTS = st.text(max_size=8) | st.just("x" * 3_000)
_LABELS = st.dictionaries(st.text(max_size=4), _TEXTS, max_size=4)


@given(st.lists(_LABELS, max_size=70))
def test_many_at_once_are_the_same_as_one_by_one(label_sets: list[dict[str, str]]) -> None:
    assert fingerprints(label_sets) == [fingerprint(labels) for labels in label_sets]


def test_many_at_once_are_those_of_alertmanager() -> None:
    # Of no byte at all FNV-1a of 64 bits is its offset.
    assert set(fingerprints([{}] * 40)) == {"cbf29ce484222325"}


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_the_short_way_of_an_instant_into_json_is_the_layouts(at_ms: int) -> None:
    instant = time_of(at_ms)
    assert instant.json_text() == instant.formatted("2006-01-02T15:04:05.999999999Z07:00")
