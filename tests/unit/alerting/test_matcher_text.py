"""Matchers in both syntaxes of Alertmanager, and which wins."""

import pytest

from udfs.alerting.matcher import Matcher, MatchKind, matchers_text
from udfs.alerting.matcher_text import classic_matchers, matchers_of, utf8_matchers

_E, _R = MatchKind.EQUAL, MatchKind.REGEX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("{}", ()),
        ("a=b", (Matcher("a", _E, "b"),)),
        ('{a="b", c!~"d|e",}', (Matcher("a", _E, "b"), Matcher("c", MatchKind.NOT_REGEX, "d|e"))),
        ('a = "b,c"', (Matcher("a", _E, "b,c"),)),
        ("a=two words", (Matcher("a", _E, "two words"),)),
        ('a="say \\"hi\\"\\n"', (Matcher("a", _E, 'say "hi"\n'),)),
        ('a="b\\d"', (Matcher("a", _E, "b\\d"),)),
        ("a=", (Matcher("a", _E, ""),)),
        ('"two words"="ü"', (Matcher("two words", _E, "ü"),)),
        ("größe=~1.*", (Matcher("größe", _R, "1.*"),)),
        ('a="\\u00fc"', (Matcher("a", _E, "\\u00fc"),)),  # both can read it, and the classic one wins
    ],
)
def test_text_is_read_as_alertmanager_reads_it(text: str, expected: tuple[Matcher, ...]) -> None:
    assert matchers_of(text) == expected


@pytest.mark.parametrize("text", ["a", "=b", 'a="b', 'a="b"c"', '{a="b"', "a=~(", "a==b,{", 'x.y="b', "a=b}c=d{"])
def test_what_neither_syntax_can_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        utf8_matchers(text)
    if text not in {'{a="b"', "a==b,{", "a=b}c=d{"}:  # the classic syntax is lenient about braces and values
        with pytest.raises(ValueError, match=r"\S"):
            matchers_of(text)


def test_escapes_of_the_newer_syntax_are_those_of_go() -> None:
    assert utf8_matchers('a="\\u00fc\\x41\\t"') == (Matcher("a", _E, "üA\t"),)


@pytest.mark.parametrize("value", ["b", 'say "hi"', "back\\slash", "line\nbreak", "a,b", "{}"])
def test_matchers_are_written_so_that_they_can_be_read(value: str) -> None:
    matchers = (Matcher("a", _E, value), Matcher("c", MatchKind.NOT_EQUAL, value))
    assert classic_matchers(matchers_text(matchers)) == matchers
    assert utf8_matchers(matchers_text(matchers)) == matchers


def test_missing_label_has_the_empty_value_and_expressions_match_the_whole() -> None:
    assert Matcher("a", _E, "").matches({})
    assert Matcher("a", _R, "b*").matches({})
    assert not Matcher("a", _R, "b").matches({"a": "abc"})
    assert Matcher("a", MatchKind.NOT_REGEX, "b").matches({"a": "abc"})
