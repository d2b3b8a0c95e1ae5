"""A server on loopback that speaks the wire formats of OpenAI and Anthropic, and one that takes what clients report."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "four words are here"}}
    ],
    "usage": {
        "prompt_tokens": 30,
        "completion_tokens": 4,
        "total_tokens": 34,
        "prompt_tokens_details": {"cached_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "m",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        }
    ],
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 7,
        "output_tokens": 2,
        "total_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4",
    "content": [{"type": "text", "text": "hi there"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 20,
        "output_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 5,
    },
}
_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
_STREAM: list[dict[str, Any]] = [
    {**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "four "}}]},
    {**_CHUNK, "choices": [{"index": 0, "delta": {"content": "words"}}]},
    {**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {**_CHUNK, "choices": [], "usage": CHAT["usage"]},
]
_MESSAGE_STREAM: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            **MESSAGE,
            "content": [],
            "stop_reason": None,
            "usage": {**MESSAGE["usage"], "output_tokens": 1},  # type: ignore[dict-item]
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 3},
    },
    {"type": "message_stop"},
]


class _Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if request["model"] == "broken":
            return self._answer(400, {"error": {"message": "no such model", "type": "invalid_request_error"}})
        if self.path.endswith("/messages"):
            return self._events(_MESSAGE_STREAM) if request.get("stream") else self._answer(200, MESSAGE)
        if self.path.endswith("/responses"):
            return self._answer(200, RESPONSES)
        return self._chunks() if request.get("stream") else self._answer(200, CHAT)

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self) -> None:
        self._stream("".join(f"data: {json.dumps(each)}\n\n" for each in _STREAM) + "data: [DONE]\n\n")

    def _events(self, events: list[dict[str, Any]]) -> None:
        self._stream("".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events))

    def _stream(self, text: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class Reported:
    """What a fake sidecar was sent: events by NDJSON, other bodies by path. `statuses` are its next answers."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.bodies: list[tuple[str, bytes]] = []
        self.statuses: list[int] = []


class _UnixServer(ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, _ = super().get_request()
        return connection, ("unix", 0)


@contextmanager
def fake_sidecar(path: Path) -> Iterator[Reported]:
    """Serve a Unix socket that takes telemetry."""
    reported = Reported()

    class Sidecar(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = reported.statuses.pop(0) if reported.statuses else 202
            if status == 202:
                reported.bodies.append((self.path, body))
                if self.path == "/v1/events":
                    reported.events += [json.loads(line) for line in body.splitlines()]
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with _UnixServer(str(path), Sidecar) as server:
        yield from _served(server, reported)


@contextmanager
def fake_llm() -> Iterator[str]:
    """Serve the models' interfaces; yield the address, `http://127.0.0.1:port`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server:
        yield from _served(server, f"http://127.0.0.1:{server.server_address[1]}")


def _served(server: Any, value: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield value
    finally:
        server.shutdown()
        thread.join()
