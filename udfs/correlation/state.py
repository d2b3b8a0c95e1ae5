"""State of one tenant's correlation: what the next anomaly is judged against, and its bytes."""

from msgspec import Struct, msgpack

from udfs.correlation.background import Background
from udfs.correlation.forwarded import Forwarded
from udfs.correlation.notice import OperatorNotice

STATE_VERSION = 1


class Cell(Struct, frozen=True, array_like=True):
    """One incident, open or closed a short while ago: what routing asks about, and the rest as bytes.

    The body stays encoded until evidence touches it, so that a step costs the same with one incident and with thirty.
    `shares` tells when evidence last spoke for a wider scope and a concern (`provider:openai|service`).
    """

    scope: str
    first_at_ms: int
    last_at_ms: int
    limit_at_ms: int
    """No evidence after this joins: what keeps incidents from chaining without bound."""
    closing_at_ms: int = 0
    """When it closes if nothing more comes; for a closed one, when it did."""
    due_at_ms: int = 0
    """When to wake for it: to put out news, to close, or to forget."""
    is_open: bool = True
    shares: dict[str, int] = {}
    concerns: tuple[str, ...] = ()
    body: bytes = b""
    """`Ongoing` as MessagePack; empty for one that was folded into another."""


class Waiting(Struct, frozen=True, array_like=True):
    """Witnesses of one application, or of one provider as a whole, that were not enough for an incident so far."""

    newest_at_ms: int
    shares: dict[str, int]
    body: bytes
    """Tuple of `Witness` as MessagePack, at most 12."""


class CorrelationState(Struct, frozen=True, array_like=True):
    """Everything one tenant's correlation remembers.

    At most 33 open and 12 closed incidents of 12 kB, 64 waiting lists of 12 witnesses of 300 bytes, 131 kB of ids and
    20 kB of the rest: below 1 MB with names of usual length, and a few kB in ordinary operation.
    """

    tenant_id: str | None = None
    forwarded: Forwarded = Forwarded()
    incidents: dict[str, Cell] = {}
    """By incident id, oldest first."""
    waiting: dict[str, Waiting] = {}
    """By scope, least recently fed first."""
    backgrounds: dict[str, Background] = {}
    calls: dict[int, str] = {}
    """Which incident or waiting list has a call (digest of event or trace) in evidence, oldest first."""
    used_ids: bytes = b""
    """Digests of incident ids in use, 8 bytes each, oldest first."""
    notices: dict[str, OperatorNotice] = {}
    """The newest notice by provider."""


ENCODER = msgpack.Encoder()
DECODER = msgpack.Decoder(CorrelationState)


def versioned(version: int, state: Struct) -> bytes:
    """Return a state's bytes: the version, then MessagePack."""
    return bytes([version]) + ENCODER.encode(state)


def without_version(version: int, data: bytes) -> memoryview:
    """Return the MessagePack in a state's bytes.

    Raises ValueError if there are none or they are of another version.
    """
    if not data or data[0] != version:
        found = f"version {data[0]}" if data else "no bytes"
        raise ValueError(
            f"correlation state: found {found}, this release reads version {version}; restore with what wrote it"
        )
    return memoryview(data)[1:]


def encode_state(state: CorrelationState) -> bytes:
    """Return the bytes of a tenant's state."""
    return versioned(STATE_VERSION, state)


def decode_state(data: bytes) -> CorrelationState:
    """Return a tenant's state in bytes; raises ValueError if they are of another version or damaged."""
    return DECODER.decode(without_version(STATE_VERSION, data))
