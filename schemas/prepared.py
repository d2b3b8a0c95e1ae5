"""Prepared: types of records that threads may decode at the same time.

msgspec describes a type when it is first decoded. Another thread that comes to the same type in the meantime takes the
half-made description for a whole one, which ends the process (msgspec 0.22: SIGSEGV, two threads, first decoding).
"""

from collections.abc import Iterator
from contextlib import suppress

import msgspec
from msgspec import Struct


def prepare_types() -> None:
    """Have every type of record that is known by now described; call it before there are threads."""
    for kind in known_types(Struct):
        # A type that cannot be decoded, with a field that may be one of two, or of a type that is named for the type
        # checker alone, is not decoded anywhere.
        with suppress(TypeError, NameError):
            msgspec.json.Decoder(kind)


def known_types(kind: type[Struct]) -> Iterator[type[Struct]]:
    """Yield the types below one, at any depth, whose modules are imported."""
    for each in kind.__subclasses__():
        yield each
        yield from known_types(each)
