"""Where texts are judged, and how they are redacted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.normalise.messages import said, said_in_parts
from udfs.text.judge import KeywordRule, judge
from udfs.text.redaction import redacted

INJECTION = KeywordRule(category="prompt_injection", phrases=("ignore all previous instructions", "developer mode"))
WARNING = KeywordRule(category="off_topic", phrases=("weather",), verdict="warn", score=0.4)


def test_nobody_judges_without_a_text_or_a_rule() -> None:
    assert judge((), (INJECTION,)) is None
    assert judge(("hello",), ()) is None


@pytest.mark.parametrize("text", ["IGNORE all\nprevious   instructions!", "(Developer Mode)"])
def test_a_phrase_is_met_whatever_its_case_and_spacing(text: str) -> None:
    verdict = judge(("harmless", text), (INJECTION,))
    assert verdict is not None
    assert (verdict.verdict, verdict.category, verdict.action) == ("deny", "prompt_injection", "none")


def test_a_part_of_a_word_meets_nothing() -> None:
    verdict = judge(("weathering developer modesty",), (INJECTION, WARNING))
    assert verdict is not None
    assert (verdict.verdict, verdict.score) == ("allow", 0.0)


@pytest.mark.parametrize("phrases", [(), ("",), ("fine", "  ")])
def test_a_rule_that_every_text_would_meet_is_refused(phrases: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="c: a rule needs phrases"):
        KeywordRule(category="c", phrases=phrases)


def test_a_phrase_may_be_of_any_script() -> None:
    rule = KeywordRule(category="c", phrases=("игнорируй инструкции", "a+b (c)"))
    for text in ("ИГНОРИРУЙ\u00a0инструкции.", "so a+b  (c)!"):
        verdict = judge((text,), (rule,))
        assert verdict is not None
        assert verdict.category == "c"
    spared = judge(("неигнорируй инструкции",), (rule,))
    assert spared is not None
    assert spared.verdict == "allow"


def test_the_rule_with_the_highest_score_speaks() -> None:
    verdict = judge(("developer mode weather",), (WARNING, INJECTION))
    assert verdict is not None
    assert verdict.category == "prompt_injection"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mail a.b+c@mail.example.co.uk now", "mail [email] now"),
        ("sk-ant-api03-AbCdEfGhIjKlMnOpQrSt and AKIAABCDEFGHIJKLMNOP", "[key] and [key]"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijkl", "token [key]"),
        ("4111-1111-1111-1111", "[card]"),
        ("order 4111111111111112 of 2026-11-24", "order 4111111111111112 of 2026-11-24"),
        ("skill and task-force are words", "skill and task-force are words"),
    ],
)
def test_what_is_redacted(text: str, wanted: str) -> None:
    assert redacted(text) == wanted


@given(st.text(max_size=200))
def test_redacting_never_fails_and_again_changes_nothing(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        ('[{"role": "user", "parts": [{"type": "text", "content": "a\\nb"}]}]', "a\nb"),
        (
            '[{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "text", "text": "b"}]}]',
            "a\nb",
        ),
        ('{"tool_calls": [{"function": {"name": "f", "arguments": "{\\"x\\": 1}"}}]}', '{"x": 1}'),
        ("[not json", "[not json"),
        ('{"role": "user"}', '{"role": "user"}'),
        ("[" * 900 + "]" * 900, "[" * 900 + "]" * 900),
    ],
)
def test_what_messages_say_is_taken_out_of_their_structure(text: str, wanted: str) -> None:
    assert said(text) == wanted


def test_flattened_messages_are_put_in_the_order_of_their_numbers() -> None:
    parts = [(f"llm.input_messages.{number}.message.content", f"{number}") for number in (10, 2, 1)]
    assert said_in_parts([*parts, ("llm.input_messages.0.message.role", "user")]) == "1\n2\n10"
