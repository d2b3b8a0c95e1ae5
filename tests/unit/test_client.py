"""Clients of OpenAI and Anthropic that are watched report their calls, and notice nothing of it."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

from jobs.client import Handover, watch
from jobs.client.handover import Item
from jobs.client.record import EVENTS
from jobs.client.span_processor import SentinelSpanProcessor
from schemas.codec import decode_event
from tests.fake_llm import Reported, fake_llm, fake_sidecar

ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is it?"}], "temperature": 0.5}
TELL: Any = {"model": "claude-sonnet-4", "max_tokens": 99, "messages": [{"role": "user", "content": "What is it?"}]}


CLIENTS = ExitStack()
"""What a test opened: left to the collector, a socket could be found before the client that would have closed it."""


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    with CLIENTS:
        yield


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with fake_llm() as address:
        yield address


@pytest.fixture
def reported(tmp_path: Path) -> Iterator[Reported]:
    with fake_sidecar(tmp_path / "s") as reported:
        yield reported


@pytest.fixture
def handover(tmp_path: Path, reported: Reported) -> Iterator[Handover]:  # noqa: ARG001 - closed before the sidecar
    handover = Handover(f"unix:{tmp_path / 's'}")
    yield handover
    handover.close()


def gpt(model: str, handover: Handover, **options: Any) -> openai.OpenAI:
    client = CLIENTS.enter_context(openai.OpenAI(base_url=f"{model}/v1", api_key="k", max_retries=0))
    return watch(client, application="checkout", handover=handover, **options)


def claude(model: str, handover: Handover, **options: Any) -> anthropic.Anthropic:
    client = CLIENTS.enter_context(anthropic.Anthropic(base_url=model, api_key="k", max_retries=0))
    return watch(client, application="checkout", handover=handover, **options)


def one(handover: Handover, reported: Reported) -> dict[str, Any]:
    """Return the only event reported, which is one that ingestion accepts."""
    assert handover.flush(10)
    [event] = reported.events
    decode_event(json.dumps(event).encode())
    return event


def test_a_chat_is_reported_with_usage_and_without_texts(model: str, handover: Handover, reported: Reported) -> None:
    answer = gpt(model, handover, user="u-1", session=lambda: "s-1").chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "four words are here"
    event = one(handover, reported)
    data = event["data"]
    latency_ms = data.pop("latency_ms")
    assert 0 < latency_ms < 10_000
    assert data == {
        "provider": "openai",
        "operation": "chat",
        "model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "stream": False,
        "status": "success",
        "parameters": {"temperature": 0.5},
        "prompt_tokens": 30,
        "completion_tokens": 4,
        "total_tokens": 34,
        "cached_tokens": 10,
        "reasoning_tokens": 1,
        "finish_reason": "stop",
        "prompt_length": 11,
        "response_length": 19,
    }
    assert event["metadata"] == {"user_id": "u-1", "session_id": "s-1"}
    assert event["correlation_id"] == "chatcmpl-1"
    assert event["application_id"] == "checkout"


def test_texts_leave_when_the_program_opted_in(model: str, handover: Handover, reported: Reported) -> None:
    gpt(model, handover, texts=True).chat.completions.create(**ASK)
    data = one(handover, reported)["data"]
    assert (data["prompt"], data["response"]) == ("What is it?", "four words are here")


def test_a_stream_is_reported_when_it_ends_with_the_time_to_its_first_piece(
    model: str, handover: Handover, reported: Reported
) -> None:
    stream = gpt(model, handover).chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    assert isinstance(stream, openai.Stream)
    assert [c.choices[0].delta.content for c in stream if c.choices] == ["four ", "words", None]
    data = one(handover, reported)["data"]
    assert 0 < data["ttft_ms"] <= data["latency_ms"]
    assert (data["stream"], data["prompt_tokens"], data["completion_tokens"]) == (True, 30, 4)
    assert (data["finish_reason"], data["response_length"]) == ("stop", 10)


def test_a_stream_that_is_left_early_is_reported(model: str, handover: Handover, reported: Reported) -> None:
    with gpt(model, handover).chat.completions.create(**ASK, stream=True) as stream:
        next(stream)
    del stream
    assert one(handover, reported)["data"]["response_length"] == 5


def test_an_asynchronous_client_and_its_streams_are_reported(
    model: str, handover: Handover, reported: Reported
) -> None:
    async def talk() -> None:
        async with openai.AsyncOpenAI(base_url=f"{model}/v1", api_key="k") as plain:
            client = watch(plain, application="checkout", handover=handover)
            await client.chat.completions.create(**ASK)
            stream = await client.chat.completions.create(**ASK, stream=True)
            assert len([chunk async for chunk in stream]) == 4
        async with anthropic.AsyncAnthropic(base_url=model, api_key="k") as other:
            watched = watch(other, application="checkout", handover=handover)
            async with watched.messages.stream(**TELL) as messages:
                assert await messages.get_final_text() == "hi there"

    asyncio.run(talk())
    assert handover.flush(10)
    facts = [(e["data"]["provider"], e["data"]["stream"], e["data"]["completion_tokens"]) for e in reported.events]
    assert facts == [("openai", False, 4), ("openai", True, 4), ("anthropic", True, 3)]


def test_anthropic_counts_cached_tokens_among_those_of_the_prompt(
    model: str, handover: Handover, reported: Reported
) -> None:
    claude(model, handover).messages.create(**TELL)
    data = one(handover, reported)["data"]
    assert (data["prompt_tokens"], data["cached_tokens"], data["cache_write_tokens"]) == (125, 100, 5)
    assert (data["completion_tokens"], data["total_tokens"], data["finish_reason"]) == (3, 128, "end_turn")
    assert (data["provider"], data["response_length"], data["parameters"]) == ("anthropic", 8, {"max_tokens": 99})


def test_the_stream_of_anthropic_is_reported(model: str, handover: Handover, reported: Reported) -> None:
    with claude(model, handover).messages.stream(**TELL) as stream:
        assert "".join(stream.text_stream) == "hi there"
    data = one(handover, reported)["data"]
    assert (data["prompt_tokens"], data["completion_tokens"], data["finish_reason"]) == (125, 3, "end_turn")
    assert data["response_length"] == 8
    assert data["ttft_ms"] > 0


@pytest.mark.parametrize("way", ["responses", "raw", "options", "early"])
def test_other_ways_to_call_are_reported_too(way: str, model: str, handover: Handover, reported: Reported) -> None:
    if way == "early":
        # The parts of the client were there before it was watched.
        plain = CLIENTS.enter_context(openai.OpenAI(base_url=f"{model}/v1", api_key="k"))
        completions = plain.chat.completions
        watch(plain, application="checkout", handover=handover)
        completions.create(**ASK)
    elif way == "options":
        gpt(model, handover).with_options(timeout=9).chat.completions.create(**ASK)
    elif way == "raw":
        raw = gpt(model, handover).chat.completions.with_raw_response.create(**ASK)
        assert raw.parse().usage is not None
    else:
        assert gpt(model, handover).responses.create(model="gpt-4o", input="hi").output_text == "hello"
    data = one(handover, reported)["data"]
    assert data["prompt_tokens"] == (7 if way == "responses" else 30)
    assert data["operation"] == "chat"


def test_an_error_reaches_the_program_and_is_reported(model: str, handover: Handover, reported: Reported) -> None:
    with pytest.raises(openai.BadRequestError):
        gpt(model, handover).chat.completions.create(**ASK | {"model": "broken"})
    event = one(handover, reported)
    assert (event["event_type"], event["data"]["status"], event["data"]["error_type"]) == ("llm.error", "error", "400")
    assert "response_length" not in event["data"]


def test_a_time_out_is_reported_as_one(handover: Handover, reported: Reported) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        client = CLIENTS.enter_context(anthropic.Anthropic(base_url=address, api_key="k", max_retries=0, timeout=0.05))
        with pytest.raises(anthropic.APITimeoutError):
            watch(client, handover=handover).messages.create(**TELL)
    data = one(handover, reported)["data"]
    assert (data["status"], data["error_type"]) == ("timeout", "APITimeoutError")


def test_only_clients_can_be_watched() -> None:
    with pytest.raises(TypeError, match="takes a client of openai or anthropic, not dict"):
        watch({})


def event(number: int) -> Item:
    return Item(EVENTS.path, {"number": number}, EVENTS.encode, EVENTS.media_type)


def test_a_sidecar_that_is_away_or_busy_loses_nothing_that_fits(tmp_path: Path) -> None:
    handover = Handover(f"unix:{tmp_path / 's'}")
    for number in range(3):
        handover.put(event(number))
    assert not handover.flush(0.2)
    with fake_sidecar(tmp_path / "s") as reported:
        reported.statuses = [503, 429]
        assert handover.flush(20)
        assert [each["number"] for each in reported.events] == [0, 1, 2]
        handover.close()
    assert handover.counts() == (3, 3, 0, 0)


def test_what_does_not_fit_is_counted_and_the_count_is_reported(tmp_path: Path) -> None:
    handover = Handover(f"unix:{tmp_path / 's'}", queue_max=10)
    began = time.perf_counter()
    for number in range(5_000):
        handover.put(event(number))
    assert time.perf_counter() - began < 5
    assert handover.counts().dropped > 0
    with fake_sidecar(tmp_path / "s") as reported:
        assert handover.flush(20)
        handover.put(event(-1))
        assert handover.flush(20)
        handover.close()
    counts = handover.counts()
    assert counts.handed_over + counts.dropped == 5_001
    [told] = [each["data"] for each in reported.events if "data" in each]
    assert told == {"metric_name": "sentinel.client.dropped", "value": counts.dropped}


def test_a_child_after_a_fork_reports_for_itself(tmp_path: Path, reported: Reported, handover: Handover) -> None:
    handover.put(event(0))
    child = os.fork()
    if child == 0:
        # Nothing of pytest may run here.
        try:
            handover.put(event(1))
            os._exit(0 if handover.flush(10) and handover.counts() == (1, 1, 0, 0) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert handover.flush(10)
    assert sorted(each["number"] for each in reported.events) == [0, 1]
    assert tmp_path.exists()


def test_what_cannot_be_encoded_is_counted_as_refused(handover: Handover) -> None:
    handover.put(Item("/v1/events", object(), EVENTS.encode, EVENTS.media_type))
    assert handover.flush(10)
    assert handover.counts() == (1, 0, 0, 1)


def test_spans_about_models_are_handed_over_and_others_are_not(handover: Handover, reported: Reported) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SentinelSpanProcessor(handover))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("GET /"), tracer.start_as_current_span("chat gpt-4o") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
    assert provider.force_flush()
    [(path, body)] = reported.bodies
    assert path == "/v1/traces"
    [resource] = ExportTraceServiceRequest.FromString(body).resource_spans
    assert [each.name for each in resource.scope_spans[0].spans] == ["chat gpt-4o"]
    provider.shutdown()
