"""Reception: what every way in has in common, from the caller's bytes to the answer.

Read and normalise, ask the limits, hand over to the buffer, and answer when the events are as safe as was asked for.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Literal

import msgspec
from google.protobuf.message import DecodeError as ProtobufError

from jobs.ingestion import items, otlp
from jobs.ingestion.auth.caller import Caller
from jobs.ingestion.buffer import Ack, Buffer, Keyed, Unconfirmed
from jobs.ingestion.buffer import Refusal as NoRoom
from jobs.ingestion.limits import TenantLimits
from jobs.ingestion.otlp_json import message_of_json
from jobs.ingestion.outcome import Quota, Refusal, RefusedError, Taken
from jobs.ingestion.own_messages import event_json
from jobs.ingestion.request_metrics import RequestMetrics
from jobs.ingestion.signals import Signal
from jobs.ingestion.tenants import Tenants
from schemas.codec import encode
from schemas.dead_letter import RejectReason
from schemas.proto.llmsentinel.v1 import ingestion_pb2
from schemas.refusal import DecodeError
from schemas.telemetry import TelemetryEvent
from udfs.ingestion.account import Turned
from udfs.ingestion.rate import Admission
from udfs.normalise.context import Context
from udfs.normalise.logs import events_of_logs
from udfs.normalise.metrics import NormalisedMetrics, events_of_metrics
from udfs.normalise.normalised import Normalised, Rejection, record_key
from udfs.normalise.own_events import event_of_json, events_of_array, events_of_lines
from udfs.normalise.spans import events_of_spans

DEADLINE_S: Final = 5.0
"""How long a request waits for the level of safety that was asked for; exporters give up after ten seconds."""
_STARTS_ARRAY: Final = b"["
_REGISTRY_MAGIC: Final = b"\0"
_REGISTRY_HEADER: Final = 5
"""Bytes of a magic zero and the number of a schema, which registries put before a record."""

LETTERS_MAX: Final = 100
"""Rejected items of one request that are kept; the sender is told of all."""

Item = Callable[[int], bytes]
"""From the position of an item in its request to its bytes."""
RecordFormat = Literal["json", "avro", "otlp-traces", "otlp-metrics", "otlp-logs"]
SIGNALS: Final = {f"otlp-{signal.value}": signal for signal in Signal}


class Reception:
    """Takes what the ways in have read."""

    def __init__(
        self,
        *,
        buffer: Buffer,
        limits: TenantLimits,
        tenants: Tenants,
        metrics: RequestMetrics,
        ack: Ack,
        watch: Callable[[Sequence[TelemetryEvent]], None] | None = None,
        keep: Callable[[str, Sequence[tuple[Rejection, bytes]]], None] | None = None,
    ) -> None:
        """Put together what takes part; `watch` sees events that come in, `keep` what is rejected, with its bytes."""
        self._buffer = buffer
        self.limits = limits
        """Replaced when the configuration changes."""
        self._tenants = tenants
        self._metrics = metrics
        self._ack = ack
        self._watch = watch
        self._keep = keep

    async def otlp(self, caller: Caller, signal: Signal, body: bytes, *, is_json: bool) -> Taken:
        """Take an export request. Raises RefusedError."""
        message = _message(signal, body, is_json=is_json)
        result = self._exported(caller.tenant, signal, message)
        taken = await self._take(caller, result, len(body), lambda index: items.exported(message, signal, index))
        if isinstance(result, NormalisedMetrics):
            # What was refused and comes again is counted from where it was before.
            self._tenants.tenant(caller.tenant).streams.keep(result.advanced)
        return taken

    async def lines(self, caller: Caller, body: bytes, *, strict: bool = False, ack: Ack | None = None) -> Taken:
        """Take NDJSON. Raises RefusedError."""
        result = events_of_lines(body, self._tenants.context(caller.tenant))
        self._refuse_unless_good(caller, result, partial(items.line, body), strict=strict)
        return await self._take(caller, result, len(body), partial(items.line, body), ack)

    async def document(self, caller: Caller, body: bytes, *, strict: bool = False, ack: Ack | None = None) -> Taken:
        """Take one event, or an array of events, in JSON. Raises RefusedError."""
        context = self._tenants.context(caller.tenant)
        item: Item = partial(items.element, body)
        if body.lstrip().startswith(_STARTS_ARRAY):
            try:
                result = events_of_array(body, context)
            except DecodeError as problem:
                raise RefusedError(Refusal.UNDECODABLE, f"The body cannot be read: {problem.detail}.") from None
            except RecursionError:
                raise RefusedError(Refusal.UNDECODABLE, "The body cannot be read: nested too deep.") from None
        else:
            item = partial(_only, body)
            result = Normalised()
            if body.strip():
                _add(result, event_of_json(body, context))
        self._refuse_unless_good(caller, result, item, strict=strict)
        return await self._take(caller, result, len(body), item, ack)

    async def messages(self, caller: Caller, events: Sequence[ingestion_pb2.TelemetryEvent], size_bytes: int) -> Taken:
        """Take messages of our gRPC service. Raises RefusedError."""
        context = self._tenants.context(caller.tenant)
        result = Normalised()
        for index, event in enumerate(events):
            _add(result, event_of_json(event_json(event), context, index))
        return await self._take(caller, result, size_bytes, lambda index: event_json(events[index]))

    async def records(self, caller: Caller, format_: RecordFormat, records: Sequence[bytes]) -> None:
        """Take records of a foreign topic. Raises RefusedError when they are to be tried again."""
        if format_ in SIGNALS:
            for record in records:
                try:
                    # One after the other: counters of one are counted from where the one before left them.
                    await self.otlp(caller, SIGNALS[format_], record, is_json=False)
                except RefusedError as refused:
                    if refused.refusal is not Refusal.UNDECODABLE:
                        raise
                    unreadable = Rejection(index=0, reason=RejectReason.UNDECODABLE, pointer="", detail=refused.detail)
                    self._reject(caller, [unreadable], partial(_only, record))
            return
        context = self._tenants.context(caller.tenant)
        result = Normalised()
        for index, record in enumerate(records):
            read = event_of_json if format_ == "json" else _event_of_avro
            _add(result, read(record, context, index))
        await self._take(caller, result, sum(map(len, records)), records.__getitem__)

    def _exported(self, tenant: str, signal: Signal, message: Any) -> Normalised:
        context = self._tenants.context(tenant)
        known = self._tenants.tenant(tenant)
        match signal:
            case Signal.TRACES:
                return events_of_spans(message.resource_spans, context, known.wrappers)
            case Signal.METRICS:
                return events_of_metrics(message.resource_metrics, context, known.streams)
            case Signal.LOGS:
                return events_of_logs(message.resource_logs, context)

    def _refuse_unless_good(self, caller: Caller, result: Normalised, item: Item, *, strict: bool) -> None:
        """Refuse a request none of whose events can be taken, or when it is to be all or nothing, not all of them."""
        if result.rejected and (strict or not result.events):
            self._metrics.normalised(msgspec.structs.replace(result, events=[]))
            self._reject(caller, result.rejected, item)
            raise RefusedError(
                Refusal.UNDECODABLE,
                f"{len(result.rejected)} of {result.items} events cannot be accepted; nothing was taken.",
                rejected=tuple(result.rejected),
            )

    def _reject(self, caller: Caller, rejected: Sequence[Rejection], item: Item) -> None:
        """Count what cannot become events, and keep it for whoever looks into it."""
        for reason, count in Counter(each.reason for each in rejected).items():
            self._buffer.reject(caller.tenant, reason, count)
        if self._keep is not None:
            self._keep(caller.tenant, [(each, item(each.index)) for each in rejected[:LETTERS_MAX]])

    async def _take(
        self, caller: Caller, result: Normalised, size_bytes: int, item: Item, ack: Ack | None = None
    ) -> Taken:
        tenant, events = caller.tenant, result.events
        self._metrics.normalised(result)
        if result.rejected:
            self._reject(caller, result.rejected, item)
        if not events:
            return Taken(accepted=0, rejected=tuple(result.rejected))
        tokens = sum(event.data.total_tokens or 0 for event in events)
        admission = self.limits.admit(tenant, events=len(events), bytes_=size_bytes, tokens=tokens)
        if not admission.admitted:
            self._buffer.refuse(tenant, Turned.RATE_LIMITED, len(events))
            raise RefusedError(
                Refusal.OVER_QUOTA,
                "The tenant sends more than its limits allow: send this again later.",
                retry_after_s=max(1, admission.retry_after_s),
                policies=admission.violated,
                quota=_quota(admission),
            )
        if self._watch is not None:
            self._watch(events)
        records = [Keyed(record_key(event), encode(event)) for event in events]
        answer = await self._buffer.put(tenant, records, ack or self._ack, deadline_s=DEADLINE_S)
        if answer is not None:
            raise _refused(answer, _quota(admission))
        return Taken(
            accepted=len(events),
            rejected=tuple(result.rejected),
            batch_id=_batch_id([event.event_id for event in events]),
            quota=_quota(admission),
        )


def _event_of_avro(record: bytes, context: Context, index: int) -> TelemetryEvent | Rejection:
    """Return the event of a record in Avro, plain or behind the header of a schema registry."""
    from schemas.avro import decode_event_avro  # noqa: PLC0415 - for those alone who read such topics

    try:
        event = decode_event_avro(record)
    except DecodeError as plain:
        if record[:1] != _REGISTRY_MAGIC:
            return Rejection(index=index, reason=plain.reason, pointer="", detail=plain.detail)
        try:
            event = decode_event_avro(record[_REGISTRY_HEADER:])
        except DecodeError as framed:
            return Rejection(index=index, reason=framed.reason, pointer="", detail=framed.detail)
    # What is added to an event, and what is taken from it, is the same for both formats.
    return event_of_json(encode(event), context, index)


def _message(signal: Signal, body: bytes, *, is_json: bool) -> Any:
    kind = otlp.REQUESTS[signal]
    try:
        return message_of_json(body, kind) if is_json else kind.FromString(body)
    except (ProtobufError, ValueError) as problem:
        what = f"no {kind.DESCRIPTOR.name}" + (f" ({problem})" if is_json else "")
        raise RefusedError(Refusal.UNDECODABLE, f"The body is {what}.") from None


def _only(body: bytes, _index: int) -> bytes:
    return body


def _add(result: Normalised, one: TelemetryEvent | Rejection) -> None:
    if isinstance(one, Rejection):
        result.rejected.append(one)
    else:
        result.events.append(one)


def _refused(answer: NoRoom | Unconfirmed, quota: Quota | None) -> RefusedError:
    is_quota = isinstance(answer, NoRoom) and answer.is_quota
    return RefusedError(
        Refusal.OVER_QUOTA if is_quota else Refusal.OVERLOADED,
        answer.detail,
        retry_after_s=max(1, answer.retry_after_s),
        policies=("buffer",) if is_quota else (),
        quota=quota,
    )


def _quota(admission: Admission) -> Quota | None:
    if not admission.policy_header:
        return None
    return Quota(policy=admission.policy_header, left=admission.limit_header)


def _batch_id(event_ids: list[str]) -> str:
    return hashlib.blake2b("\n".join(event_ids).encode(), digest_size=12).hexdigest()
