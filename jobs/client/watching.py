"""Watching: the clients of OpenAI and Anthropic, synchronous and asynchronous, made to report their calls.

Both send every call through one method, `post`, which is replaced on the one client that is given; their classes, other
clients and their answers stay as they are.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Final, TypeVar

from jobs.client.handover import Handover, Item, default_handover
from jobs.client.reading import Reader, operation_of, request_fields
from jobs.client.record import EVENTS, CallRecord, default_application

Client = TypeVar("Client")

_PROVIDERS: Final = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}
_TIMEOUTS: Final = frozenset({"408", "504"})


def watch(
    client: Client,
    *,
    application: str | None = None,
    provider: str | None = None,
    user: str | Callable[[], str | None] | None = None,
    session: str | Callable[[], str | None] | None = None,
    environment: str | None = None,
    texts: bool = False,
    handover: Handover | None = None,
) -> Client:
    """Return the same client of OpenAI or Anthropic, which from now on reports its calls.

    Args:
        client: `OpenAI()`, `AsyncOpenAI()`, `Anthropic()`, `AsyncAnthropic()` and what derives from them.
        application: who calls; by default SENTINEL_APPLICATION, OTEL_SERVICE_NAME or the name of the program's file.
        provider: whose models; by default what the address says, or the maker of the client.
        user: on whose behalf, or a function that says so at each call.
        session: of which conversation, or a function.
        environment: such as `production`.
        texts: True to send prompts and answers along; without it only their lengths leave this process.
        handover: the queue to use; by default the one of this process.

    Raises:
        TypeError: for something that is no such client.
    """
    post = getattr(client, "post", None)
    if not callable(post) or not hasattr(client, "base_url"):
        raise TypeError(f"watch() takes a client of openai or anthropic, not {type(client).__name__}")
    if getattr(post, "_llm_sentinel", False):
        return client
    watcher = _Watcher(
        application or default_application(),
        provider or _provider(client),
        (user, session, environment),
        handover or default_handover(),
        texts=texts,
    )
    watched = watcher.asynchronous(post) if _is_asynchronous(client) else watcher.synchronous(post)
    watched._llm_sentinel = True  # type: ignore[attr-defined]  # noqa: SLF001
    client.post = watched  # type: ignore[attr-defined]
    _replace_in_resources(client, watched)
    for name in ("copy", "with_options"):
        _keep_watching(client, name, watcher)
    return client


class _Watcher:
    def __init__(
        self, application: str, provider: str, who: tuple[Any, Any, str | None], handover: Handover, *, texts: bool
    ) -> None:
        self._application = application
        self._provider = provider
        self._user, self._session, self._environment = who
        self._handover = handover
        self._texts = texts

    def synchronous(self, post: Callable[..., Any]) -> Callable[..., Any]:
        def watched(path: str, **arguments: Any) -> Any:
            reader = self._reader(path, arguments)
            if reader is None:
                return post(path, **arguments)
            began = time.perf_counter()
            try:
                answer = post(path, **arguments)
            except Exception as error:
                self._ended(reader, began, None, error)
                raise
            return self._answered(reader, began, answer)

        return watched

    def asynchronous(self, post: Callable[..., Any]) -> Callable[..., Any]:
        async def watched(path: str, **arguments: Any) -> Any:
            reader = self._reader(path, arguments)
            if reader is None:
                return await post(path, **arguments)
            began = time.perf_counter()
            try:
                answer = await post(path, **arguments)
            except Exception as error:
                self._ended(reader, began, None, error)
                raise
            return self._answered(reader, began, answer)

        return watched

    # --- From here on nothing may raise into the program --------------------------------------------------------------

    def _reader(self, path: str, arguments: dict[str, Any]) -> Reader | None:
        try:
            operation = operation_of(path)
            body = arguments.get("body")
            if operation is None or not isinstance(body, dict):
                return None
            is_stream = bool(arguments.get("stream"))
            return Reader(operation, request_fields(body, texts=self._texts, stream=is_stream), texts=self._texts)
        except Exception:  # noqa: BLE001
            return None

    def _answered(self, reader: Reader, began: float, answer: Any) -> Any:
        try:
            # `with_raw_response` wraps the answer; what it parses to is kept in it.
            parse = getattr(answer, "parse", None)
            is_raw = callable(parse) and hasattr(answer, "http_response")
            inner = parse() if is_raw and callable(parse) else answer
            iterator = getattr(inner, "_iterator", None)
            if hasattr(inner, "__aiter__") and iterator is not None:
                later = inner._iterator = self._items_later(reader, began, iterator)  # noqa: SLF001
                inner.close = _closing_later(inner.close, later)
            elif hasattr(inner, "__next__") and iterator is not None:
                items = inner._iterator = self._items(reader, began, iterator)  # noqa: SLF001
                inner.close = _closing(inner.close, items)
            else:
                reader.answer(inner)
                self._ended(reader, began, None, None)
        except Exception:  # noqa: BLE001
            self._ended(reader, began, None, None)
        return answer

    def _items(self, reader: Reader, began: float, items: Iterator[Any]) -> Generator[Any, None, None]:
        first: float | None = None
        failure: Exception | None = None
        try:
            for item in items:
                if first is None:
                    first = time.perf_counter()
                reader.chunk(item)
                yield item
        except Exception as error:
            failure = error
            raise
        finally:
            self._ended(reader, began, first, failure)

    async def _items_later(self, reader: Reader, began: float, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        first: float | None = None
        failure: Exception | None = None
        try:
            async for item in items:
                if first is None:
                    first = time.perf_counter()
                reader.chunk(item)
                yield item
        except Exception as error:
            failure = error
            raise
        finally:
            self._ended(reader, began, first, failure)

    def _ended(self, reader: Reader, began: float, first: float | None, failure: Exception | None) -> None:
        try:
            data = reader.done()
            data["latency_ms"] = (time.perf_counter() - began) * 1_000
            if first is not None:
                data["ttft_ms"] = (first - began) * 1_000
            data["status"] = "success"
            if failure is not None:
                kind = str(getattr(failure, "status_code", None) or type(failure).__name__)
                data["error_type"] = kind[:256]
                data["status"] = "timeout" if kind in _TIMEOUTS or "Timeout" in kind else "error"
            record = CallRecord(
                application=self._application,
                at_s=time.time(),
                provider=self._provider,
                operation=reader.operation,
                data=data,
                correlation_id=reader.response_id,
                user=_said(self._user) or reader.user,
                session=_said(self._session),
                environment=self._environment,
            )
            self._handover.put(Item(EVENTS.path, record, EVENTS.encode, EVENTS.media_type))
        except Exception:  # noqa: BLE001, S110 - a program must not fail because of its telemetry
            pass


def _closing(close: Callable[[], None], items: Generator[Any, None, None]) -> Callable[[], None]:
    """Let a stream that is closed early report at once, and not when the collector finds it."""

    def closed() -> None:
        close()
        items.close()

    return closed


def _closing_later(
    close: Callable[[], Awaitable[None]], items: AsyncGenerator[Any, None]
) -> Callable[[], Awaitable[None]]:
    async def closed() -> None:
        await close()
        await items.aclose()

    return closed


def _said(value: Any) -> str | None:
    said = value() if callable(value) else value
    return None if said is None else str(said)[:256]


def _provider(client: Any) -> str:
    host = str(getattr(client.base_url, "host", ""))
    if host.endswith(".openai.azure.com"):
        return "azure.ai.openai"
    return _PROVIDERS.get(host) or type(client).__module__.partition(".")[0]


def _is_asynchronous(client: Any) -> bool:
    return "Async" in "".join(kind.__name__ for kind in type(client).__mro__)


def _replace_in_resources(client: Any, watched: Callable[..., Any]) -> None:
    """Reach the parts of the client that exist already; each holds `post` under a name of its own."""
    waiting = [client]
    seen = {id(client)}
    while waiting:
        for part in list(vars(waiting.pop()).values()):
            if hasattr(part, "_post") and hasattr(part, "_client") and id(part) not in seen:
                part._post = watched  # noqa: SLF001
                seen.add(id(part))
                waiting.append(part)


def _keep_watching(client: Any, name: str, watcher: _Watcher) -> None:
    """Let copies of the client, made with other options, be watched as well."""
    original = getattr(client, name, None)
    if original is None:
        return

    def copied(*arguments: Any, **options: Any) -> Any:
        other = original(*arguments, **options)
        post = other.post
        if not getattr(post, "_llm_sentinel", False):
            other.post = watcher.asynchronous(post) if _is_asynchronous(other) else watcher.synchronous(post)
            other.post._llm_sentinel = True  # noqa: SLF001
            _replace_in_resources(other, other.post)
        return other

    setattr(client, name, copied)
