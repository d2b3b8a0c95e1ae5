"""Answers over HTTP, in the forms that Alertmanager's clients know."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

BODY_BYTES_MAX = 64 * 1024 * 1024
_TRUE = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})


class RefusedError(Exception):
    """A request that is not carried out; `answer` says why."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def found(value: Any) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value) + b"\n", media_type="application/json")


def done() -> Response:
    """Return that it is done, and nothing more."""
    return Response(status_code=200)


def refused(reason: str, status: int = 400) -> RefusedError:
    """Return the refusal of a request whose content cannot be: the reason as a JSON text."""
    return RefusedError(Response(msgspec.json.encode(reason) + b"\n", status, media_type="application/json"))


def malformed(status: int, code: int, message: str) -> RefusedError:
    """Return the refusal of a request that has not the form it should have."""
    return RefusedError(problem(status, code, message))


def problem(status: int, code: int, message: str) -> Response:
    """Return what is wrong as a code and a sentence."""
    body = msgspec.json.encode({"code": code, "message": message})
    return Response(body, status, media_type="application/json")


async def body_of(request: Request, what: str) -> Any:
    """Return the JSON of a request. Raises RefusedError if it is none, or of another type, or too large."""
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip()
    if kind != "application/json":
        raise malformed(415, 415, f'unsupported media type "{kind}", only [application/json] are allowed')
    if int(request.headers.get("content-length") or 0) > BODY_BYTES_MAX:
        raise malformed(413, 413, f"the body has more than {BODY_BYTES_MAX} bytes; send it in parts")
    body = await request.body()
    if not body.strip():
        raise malformed(422, 602, f"{what} in body is required")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unparsable(what, str(error)) from None


def unparsable(what: str, why: str) -> RefusedError:
    """Return the refusal of a body that is not what it should be."""
    return malformed(400, 400, f'parsing {what} body from "" failed, because {why}')


def flag(request: Request, name: str, *, default: bool) -> bool:
    """Return a parameter that is true or false; what is neither is false, as upstream has it."""
    value = request.query_params.get(name)
    return (
        default
        if value is None
        else value.lower() in {"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"}
    )
