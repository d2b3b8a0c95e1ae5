"""`sentinel send`: telemetry by hand, to the ingestion that `sentinel up` started or to any other."""

import os
import random
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from jobs.client.connection import Answer, Connection
from jobs.errors import SentinelError
from jobs.stack.layout import default_home
from jobs.stack.ports import LOOPBACK
from jobs.stack.stack import Stack
from schemas.codec import encode
from schemas.telemetry import Data, EventType, Metadata, Source, Status, TelemetryEvent
from schemas.time import from_at_ms

_BATCH_BYTES = 4 * 1024 * 1024
_APART_MS = 1_000
_SPREAD = 0.1


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a call that was never made."""

    application: str
    provider: str
    model: str
    latency_ms: float
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    user: str | None
    error: str | None


def made(call: Call, calls: int, now_ms: int) -> Iterator[TelemetryEvent]:
    """Return calls that end up to now; one is as it was asked for, several differ by a tenth."""
    for number in range(calls):
        spread = random.gauss(1.0, _SPREAD) if calls > 1 else 1.0
        prompt, completion = round(call.prompt_tokens * spread), round(call.completion_tokens * spread)
        yield TelemetryEvent(
            event_id=os.urandom(16).hex(),
            timestamp=from_at_ms(now_ms - (calls - 1 - number) * _APART_MS),
            source=Source(service=call.application, host=socket.gethostname()),
            event_type=EventType.ERROR if call.error else EventType.RESPONSE,
            application_id=call.application,
            data=Data(
                provider=call.provider,
                operation="chat",
                model=call.model,
                status=Status.ERROR if call.error else Status.SUCCESS,
                error_type=call.error,
                latency_ms=max(0.0, call.latency_ms * spread),
                prompt_tokens=max(0, prompt),
                completion_tokens=max(0, completion),
                total_tokens=max(0, prompt) + max(0, completion),
                cost=call.cost,
            ),
            metadata=Metadata(user_id=call.user) if call.user else None,
        )


def send(  # noqa: PLR0917 - options are passed by name
    file: Annotated[
        Path | None, typer.Argument(help="NDJSON of events, - for standard input; without it one event is made.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Ingestion, http://host:4318 or unix:/path; by default that of `sentinel up`.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="SENTINEL_API_KEY", help="Where ingestion asks for one.")
    ] = None,
    application: Annotated[str, typer.Option(help="Which application calls.")] = "by-hand",
    provider: Annotated[str, typer.Option(help="Whose model.")] = "openai",
    model: Annotated[str, typer.Option(help="Which model.")] = "gpt-4o",
    latency_ms: Annotated[float, typer.Option(min=0, help="How long the call took.")] = 800.0,
    prompt_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the prompt.")] = 500,
    completion_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the answer.")] = 200,
    cost: Annotated[float | None, typer.Option(min=0, help="US dollars; by default from the price table.")] = None,
    user: Annotated[str | None, typer.Option(help="On whose behalf.")] = None,
    error: Annotated[str | None, typer.Option(help="The call failed, with this type of error.")] = None,
    calls: Annotated[
        int,
        typer.Option(
            min=1,
            max=100_000,
            help="So many calls, alike but not the same, a second apart, the last one now; from 400 detectors learn "
            "what is usual. Where newer telemetry has been taken already, all but the last are late.",
        ),
    ] = 1,
) -> None:
    """Send a call as telemetry, or a file of them, and say what became of it."""
    address = to or _own_address()
    if not address.startswith(("unix:/", "http://", "https://")):
        raise SentinelError(f"--to: {address} is no address such as http://host:4318 or unix:/path.")
    connection = Connection(address, api_key)
    accepted = 0
    try:
        if file is None:
            call = Call(
                application=application,
                provider=provider,
                model=model,
                latency_ms=latency_ms,
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                cost=cost,
                user=user,
                error=error,
            )
            events = list(made(call, calls, int(time.time() * 1_000)))
            accepted += _sent(connection, address, b"\n".join(map(encode, events)), 0)
            print(f"accepted: {accepted} of {calls}; the last one is {events[-1].event_id}")
            return
        first = 0
        for lines in _batches(file):
            accepted += _sent(connection, address, b"".join(lines), first)
            first += len(lines)
        print(f"accepted: {accepted} of {first} events")
        if accepted < first:
            raise SentinelError(f"{first - accepted} events were rejected, see above.")
    finally:
        connection.close()


def _own_address() -> str:
    return f"http://{LOOPBACK}:{Stack(default_home()).ports.ingestion_http}"


def _batches(file: Path) -> Iterator[list[bytes]]:
    """Return the lines of a file in parts that a request may have."""
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as lines:
            batch: list[bytes] = []
            size = 0
            for line in lines:
                if batch and size + len(line) > _BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
                if line.strip():
                    batch.append(line if line.endswith(b"\n") else line + b"\n")
                    size += len(line)
            if batch:
                yield batch
    except OSError as problem:
        raise SentinelError(f"cannot read {file}: {problem.strerror}.") from None


def _sent(connection: Connection, address: str, body: bytes, first: int) -> int:
    """Send events and return how many were taken; what was rejected is told with its place in the file."""
    try:
        answer = connection.post("/v1/events", body, "application/x-ndjson")
    except OSError as problem:
        raise SentinelError(
            f"ingestion does not answer at {address} ({problem}): run `sentinel up`, or give --to."
        ) from None
    document = _document(answer)
    for each in document.get("rejected") or document.get("errors") or ():
        print(f"event {first + each['index'] + 1}: {each['code']}: {each['detail']}", file=sys.stderr)
    if answer.status in {202, 207}:
        return int(document["accepted"])
    if answer.status == 400 and document.get("errors"):  # noqa: PLR2004
        return 0
    raise SentinelError(f"ingestion answered {answer.status}: {document.get('detail', answer.body[:200])}")


def _document(answer: Answer) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        document = None
    return document if isinstance(document, dict) else {}
