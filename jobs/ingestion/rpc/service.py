"""Service: the methods of the gRPC port, OTLP's and our own, over bytes that are decoded here and not before.

Methods with one request are served as if they had a stream of them. A stream is read when it is asked for, so that the
credential is checked, and room in memory found, before the message is read; on the wire there is no difference.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from jobs.ingestion import otlp
from jobs.ingestion.admittance import admitted
from jobs.ingestion.answering import answering
from jobs.ingestion.auth.caller import Caller, Credentials
from jobs.ingestion.auth.gatekeeper import Gatekeeper
from jobs.ingestion.memory import RequestMemory
from jobs.ingestion.outcome import Refusal, RefusedError, Taken
from jobs.ingestion.reception import Reception
from jobs.ingestion.request_metrics import RequestMetrics
from jobs.ingestion.signals import Signal
from schemas.proto.llmsentinel.v1 import ingestion_pb2

_COLLECTOR: Final = "/opentelemetry.proto.collector."
_EXPORTS: Final = {
    f"{_COLLECTOR}trace.v1.TraceService/Export": Signal.TRACES,
    f"{_COLLECTOR}metrics.v1.MetricsService/Export": Signal.METRICS,
    f"{_COLLECTOR}logs.v1.LogsService/Export": Signal.LOGS,
}
_OWN: Final = "/llmsentinel.v1.Ingestion/"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_MESSAGE_S: Final = 30.0
_STATUS_KEY: Final = "grpc-status-details-bin"

Context = Any
"""`grpc.aio.ServicerContext`: gRPC publishes no types."""


class IngestionService(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC publishes no types
    """Finds the handler of a method; those of the health service are added to the server beside it."""

    def __init__(
        self,
        *,
        reception: Reception,
        gatekeeper: Gatekeeper,
        memory: RequestMemory,
        metrics: RequestMetrics,
        bytes_max: int,
    ) -> None:
        self._reception = reception
        self._gatekeeper = gatekeeper
        self._memory = memory
        self._metrics = metrics
        self._bytes_max = bytes_max

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a method, None for one that is not ours."""
        method: str = handler_call_details.method
        signal = _EXPORTS.get(method)
        if signal is not None:
            return grpc.stream_unary_rpc_method_handler(self._export(signal))
        if method == f"{_OWN}Submit":
            return grpc.stream_unary_rpc_method_handler(self._submit)
        if method == f"{_OWN}Stream":
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return None

    def _export(self, signal: Signal) -> Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]:
        async def take(caller: Caller, message: bytes) -> bytes:
            taken = await self._reception.otlp(caller, signal, message, is_json=False)
            return otlp.response(signal, taken).SerializeToString()

        async def export(requests: AsyncIterator[bytes], context: Context) -> bytes:
            return await self._single(f"otlp_grpc_{signal.value}", requests, context, take)

        return export

    async def _submit(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        return await self._single("grpc", requests, context, self._own)

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        try:
            caller = await admitted(self._gatekeeper, _credentials(context))
        except RefusedError as refused:
            await _abort(context, refused)
        messages = aiter(requests)
        try:
            while True:
                with self._memory.lease() as lease:
                    # A stream may be idle for as long as it likes; it holds no room meanwhile.
                    message = await anext(messages, None)
                    if message is None:
                        return
                    lease.grow(len(message))
                    with answering(self._metrics, "grpc_stream"):
                        answer = await self._own(caller, message)
                    yield answer
        except RefusedError as refused:
            await _abort(context, refused)

    async def _own(self, caller: Caller, message: bytes) -> bytes:
        try:
            request = ingestion_pb2.SubmitRequest.FromString(message)
        except DecodeError:
            raise RefusedError(Refusal.UNDECODABLE, "The message is no llmsentinel.v1.SubmitRequest.") from None
        return _own_response(await self._reception.messages(caller, request.events, len(message))).SerializeToString()

    async def _single(
        self,
        way: str,
        requests: AsyncIterator[bytes],
        context: Context,
        take: Callable[[Caller, bytes], Awaitable[bytes]],
    ) -> bytes:
        try:
            with answering(self._metrics, way):
                caller = await admitted(self._gatekeeper, _credentials(context))
                with self._memory.lease() as lease:
                    # How large a message is shows when it is there: until then there is room for the largest.
                    lease.grow(self._bytes_max)
                    message = await _only_message(requests)
                    lease.shrink(self._bytes_max - len(message))
                    return await take(caller, message)
        except RefusedError as refused:
            await _abort(context, refused)


async def _only_message(requests: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(_MESSAGE_S):
            message = await anext(aiter(requests), None)
    except TimeoutError:
        raise RefusedError(Refusal.TOO_SLOW, f"The message did not arrive within {_MESSAGE_S:g} s.") from None
    if message is None:
        raise RefusedError(Refusal.UNDECODABLE, "The call has no message.")
    return message


def _credentials(context: Context) -> Credentials:
    sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return Credentials(
        authorization=sent.get("authorization"),
        api_key=sent.get("x-api-key"),
        certificate_names=tuple(name.decode() for name in names),
    )


def _own_response(taken: Taken) -> ingestion_pb2.SubmitResponse:
    return ingestion_pb2.SubmitResponse(
        accepted=taken.accepted,
        rejected=[
            ingestion_pb2.Rejection(
                index=each.index, pointer=each.pointer, reason=each.reason.value, detail=each.detail
            )
            for each in taken.rejected
        ],
        warnings=taken.warnings,
        batch_id=taken.batch_id,
    )


async def _abort(context: Context, refused: RefusedError) -> NoReturn:
    answer: status_pb2.Status = otlp.status(refused)
    metadata = ((_STATUS_KEY, answer.SerializeToString()),)
    await context.abort(_CODES[answer.code], answer.message, metadata)
    raise AssertionError  # `abort` has raised
