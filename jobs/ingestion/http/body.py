"""Bodies: read and decompressed within limits that hold whatever the request says of itself."""

import asyncio
import zlib
from collections.abc import Callable
from typing import Final

from jobs.ingestion.http.exchange import Request
from jobs.ingestion.memory import Lease
from jobs.ingestion.outcome import Refusal, RefusedError

ENCODINGS: Final = "gzip, zstd, identity"
_WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024
"""The largest window that a zstd decoder must support (RFC 8878)."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZSTD_PIECE: Final = 256
"""The decoder has no limit of its own. Four bytes make a block of at most 128 KiB, so these make at most 8 MiB."""


async def read_body(request: Request, lease: Lease, *, bytes_max: int, deadline_s: float) -> bytes:
    """Return the body as it was before it was compressed.

    Raises RefusedError: too large (before or after decompression), of an unknown encoding, not what its encoding says,
    too slow, or more than fits into memory now.
    """
    encoding = (request.header(b"content-encoding") or "identity").strip().lower()
    if encoding not in _DECODERS:
        raise RefusedError(
            Refusal.UNSUPPORTED_ENCODING, f"The content encoding must be one of: {ENCODINGS}.", allowed=ENCODINGS
        )
    said = request.header(b"content-length")
    if said is not None and said.isdigit() and int(said) > bytes_max:
        raise _too_large(bytes_max)
    try:
        async with asyncio.timeout(deadline_s):
            body = await _receive(request, lease, bytes_max)
    except TimeoutError:
        raise RefusedError(Refusal.TOO_SLOW, f"The body did not arrive within {deadline_s:g} s.") from None
    decoder = _DECODERS[encoding]
    return body if decoder is None else _decompressed(body, decoder, lease, bytes_max)


async def _receive(request: Request, lease: Lease, bytes_max: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise RefusedError(Refusal.TOO_SLOW, "The sender has hung up.")
        piece = message.get("body", b"")
        size += len(piece)
        if size > bytes_max:
            raise _too_large(bytes_max)
        lease.grow(len(piece))
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _decompressed(body: bytes, decoder: Callable[[bytes, int], bytes], lease: Lease, bytes_max: int) -> bytes:
    if not body:
        return body
    try:
        plain = decoder(body, bytes_max)
    except (zlib.error, ValueError, EOFError) as problem:
        raise RefusedError(Refusal.UNDECODABLE, f"The body is not what its content encoding says: {problem}.") from None
    if len(plain) > bytes_max:
        raise _too_large(bytes_max)
    lease.grow(len(plain))
    return plain


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    """Return at most one byte more than allowed."""
    plain = bytearray()
    while body:
        member = zlib.decompressobj(wbits=_GZIP)
        plain += member.decompress(body, bytes_max + 1 - len(plain))
        if len(plain) > bytes_max:
            break
        if not member.eof:
            raise EOFError("it ends in the middle")
        # Several members behind one another are one gzip file; zeros behind the last one are padding.
        body = member.unused_data.lstrip(b"\0")
    return bytes(plain)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    """Return what the body holds, or somewhat more than allowed."""
    import zstandard  # noqa: PLC0415 - few senders use it, and a sidecar has little memory

    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
    plain = bytearray()
    try:
        while body:
            frame = decompressor.decompressobj()
            at = 0
            while at < len(body) and not frame.eof and len(plain) <= bytes_max:
                plain += frame.decompress(body[at : at + _ZSTD_PIECE])
                at += _ZSTD_PIECE
            if len(plain) > bytes_max:
                break
            if not frame.eof:
                raise EOFError("it ends in the middle")
            body = frame.unused_data + body[at:]
    except zstandard.ZstdError as problem:
        raise ValueError(str(problem)) from None
    return bytes(plain)


def _too_large(bytes_max: int) -> RefusedError:
    return RefusedError(Refusal.TOO_LARGE, f"The body has more than the {bytes_max} bytes that a request may have.")


_DECODERS: Final[dict[str, Callable[[bytes, int], bytes] | None]] = {
    "identity": None,
    "": None,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}
