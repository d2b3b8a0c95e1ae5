"""Answers of OTLP/HTTP: the messages of the protocol, in the encoding of the request."""

from typing import Final

from google.protobuf.message import Message

from jobs.ingestion import otlp
from jobs.ingestion.http import problems
from jobs.ingestion.http.exchange import Response
from jobs.ingestion.outcome import Refusal, RefusedError, Taken
from jobs.ingestion.signals import Signal

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
TYPES: Final = f"{PROTOBUF}, {JSON}"


def taken(signal: Signal, outcome: Taken, media_type: str) -> Response:
    """Return the answer to an export that was taken, its rejected items said."""
    return Response(
        status=200,
        body=_encoded(otlp.response(signal, outcome), media_type),
        media_type=media_type,
        headers=problems.quota_headers(outcome.quota),
    )


def refused(problem: RefusedError, media_type: str) -> Response:
    """Return the answer to an export that was refused; 429 and 503 alone are worth trying again."""
    status = 503 if problem.refusal is Refusal.FAULT else problems.STATUS[problem.refusal]
    return Response(
        status=status,
        body=_encoded(otlp.status(problem), media_type),
        media_type=media_type,
        headers=problems.refusal_headers(problem),
    )


def _encoded(message: Message, media_type: str) -> bytes:
    return otlp.as_json(message) if media_type == JSON else message.SerializeToString()
