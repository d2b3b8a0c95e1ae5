"""Reading: what requests and answers of OpenAI and Anthropic say that telemetry wants to know.

Token counts follow OpenTelemetry: those of the prompt include what was read from and written to a cache, those of the
completion include reasoning. Anthropic counts cached tokens apart, so they are added.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

_OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/responses": "chat",
    "/embeddings": "embeddings",
    "/v1/messages": "chat",
    "/v1/complete": "text_completion",
}
_PARAMETERS: Final = ("temperature", "top_p")
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_TEXT_MAX: Final = 200_000


def operation_of(path: str) -> str | None:
    """Return the operation behind a path; None for what is no call of a model."""
    # Anthropic's beta methods add a query; Azure's paths begin with the name of the deployment.
    plain = path.partition("?")[0]
    found = _OPERATIONS.get(plain)
    if found is None and plain.startswith("/deployments/"):
        found = _OPERATIONS.get("/" + plain.split("/", 3)[-1])
    return found


def request_fields(body: Mapping[str, Any], *, texts: bool, stream: bool) -> dict[str, Any]:
    """Return what the request says, as fields of `data`."""
    fields: dict[str, Any] = {"model": _label(body.get("model")), "stream": stream}
    parameters = {name: body[name] for name in _PARAMETERS if isinstance(body.get(name), int | float)}
    for name in _LIMITS:
        if isinstance(body.get(name), int):
            parameters["max_tokens"] = body[name]
    if parameters:
        fields["parameters"] = parameters
    prompt = [*_texts(body.get("system")), *_texts(body.get("instructions"))]
    for name in ("messages", "input", "prompt"):
        prompt += _texts(body.get(name))
    fields["prompt_length"] = sum(map(len, prompt))
    if texts and prompt:
        fields["prompt"] = "\n".join(prompt)[:_TEXT_MAX]
    return fields


class Reader:
    """Gathers the fields of one call, from an answer or from the pieces of one."""

    def __init__(self, operation: str, fields: dict[str, Any], *, texts: bool) -> None:
        self.operation = operation
        self.fields = fields
        self.response_id: str | None = None
        self.user: str | None = None
        self._texts = texts
        self._answered = False
        self._length = 0
        self._pieces: list[str] = []

    def answer(self, answer: Any) -> None:
        """Take in a whole answer."""
        self._head(answer)
        self._usage(getattr(answer, "usage", None))
        for choice in getattr(answer, "choices", None) or ():
            self._finish(getattr(choice, "finish_reason", None))
            self._text(getattr(getattr(choice, "message", None), "content", None) or getattr(choice, "text", None))
        self._finish(getattr(answer, "stop_reason", None))
        for block in getattr(answer, "content", None) or ():
            self._text(getattr(block, "text", None))
        if hasattr(answer, "output"):
            self._text(getattr(answer, "output_text", None))
            self._finish(getattr(answer, "status", None))
        self._answered = True

    def chunk(self, chunk: Any) -> None:
        """Take in a piece of an answer; whatever it is, nothing is raised, since it goes on to the program."""
        with suppress(Exception):
            self._chunk(chunk)

    def _chunk(self, chunk: Any) -> None:
        # OpenAI: choices with deltas, and the usage in the last one; Anthropic and Responses: typed events.
        whole = getattr(chunk, "message", None) or getattr(chunk, "response", None) or chunk
        self._head(whole)
        self._usage(getattr(whole, "usage", None))
        if whole is not chunk:
            # Of events without a usage of their own; those at the end of a message have one beside it.
            self._usage(getattr(chunk, "usage", None))
            if hasattr(whole, "output"):
                self._finish(getattr(whole, "status", None))
        for choice in getattr(chunk, "choices", None) or ():
            self._finish(getattr(choice, "finish_reason", None))
            self._text(getattr(getattr(choice, "delta", None), "content", None) or getattr(choice, "text", None))
        delta = getattr(chunk, "delta", None)
        self._text(delta if isinstance(delta, str) else getattr(delta, "text", None))
        self._finish(getattr(delta, "stop_reason", None))
        self._answered = True

    def done(self) -> dict[str, Any]:
        """Return the fields, now that the call has ended."""
        if self._answered:
            self.fields["response_length"] = self._length
        if self._pieces:
            self.fields["response"] = "".join(self._pieces)
        return self.fields

    def _head(self, answer: Any) -> None:
        model, response_id = getattr(answer, "model", None), getattr(answer, "id", None)
        if isinstance(model, str):
            self.fields["response_model"] = model[:256]
        if isinstance(response_id, str):
            self.response_id = response_id

    def _usage(self, usage: Any) -> None:
        if usage is None:
            return
        fields = self.fields
        if hasattr(usage, "cache_read_input_tokens"):
            # Later pieces of an answer repeat only some of the counts.
            for name, source in _ANTHROPIC.items():
                value = getattr(usage, source, None)
                if value is not None:
                    fields[name] = value
            fresh = fields.pop("_input", None)
            if fresh is not None:
                fields["prompt_tokens"] = (
                    fresh + (fields.get("cached_tokens") or 0) + (fields.get("cache_write_tokens") or 0)
                )
        else:
            prompt, completion = _first(usage, "prompt"), _first(usage, "completion")
            fields["prompt_tokens"] = prompt if prompt is not None else _first(usage, "input")
            fields["completion_tokens"] = completion if completion is not None else _first(usage, "output")
            read = getattr(usage, "prompt_tokens_details", None) or getattr(usage, "input_tokens_details", None)
            written = getattr(usage, "completion_tokens_details", None) or getattr(usage, "output_tokens_details", None)
            fields["cached_tokens"] = getattr(read, "cached_tokens", None)
            fields["cache_write_tokens"] = getattr(read, "cache_write_tokens", None)
            fields["reasoning_tokens"] = getattr(written, "reasoning_tokens", None)
        total = [fields.get("prompt_tokens"), fields.get("completion_tokens")]
        if fields.get("prompt_tokens") is not None:
            fields["total_tokens"] = sum(count for count in total if count is not None)

    def _finish(self, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self.fields["finish_reason"] = reason[:256]

    def _text(self, text: Any) -> None:
        if isinstance(text, str) and text:
            self._length += len(text)
            if self._texts and self._length <= _TEXT_MAX:
                self._pieces.append(text)


_ANTHROPIC: Final = {
    "_input": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
}


def _first(usage: Any, word: str) -> int | None:
    value = getattr(usage, f"{word}_tokens", None)
    return value if isinstance(value, int) else None


def _label(value: Any) -> str | None:
    return value[:256] if isinstance(value, str) and value else None


def _texts(value: Any) -> list[str]:
    """Return the texts in messages, contents and parts of them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, dict):
        return _texts(value.get("content") if "content" in value else value.get("text"))
    return []
