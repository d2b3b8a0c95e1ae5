"""Packing: rows of 64-bit words without their zeros, of which open windows mostly consist.

A packed row is one bit for each word, the lowest bit of the first word first, set if the word is not zero, filled up to
whole words; and then the words that are not zero. Words are little-endian where they leave memory.
"""

import numpy as np
from numpy.typing import NDArray

from udfs.kernels import Integers, kernel

Words = NDArray[np.uint64]

_BITS = 64
_ONE = np.uint64(1)


def packed_width(width: int) -> int:
    """Return the words that a packed row takes at most."""
    return -(-width // _BITS) + width


@kernel
def pack(words: Words, rows: Integers, packed: Words) -> int:
    """Write rows of `words` one after another; return how many words they take."""
    end = 0
    width = words.shape[1]
    for number in range(rows.shape[0]):
        row = rows[number]
        start = end
        end += (width + _BITS - 1) // _BITS
        for first in range(0, width, _BITS):
            marks = np.uint64(0)
            for column in range(first, min(first + _BITS, width)):
                word = words[row, column]
                if word != 0:
                    marks |= _ONE << np.uint64(column - first)
                    packed[end] = word
                    end += 1
            packed[start + first // _BITS] = marks
    return end


@kernel
def unpack(packed: Words, words: Words) -> int:
    """Write packed rows to `words`, which is all zeros; return how many words they took, -1 if there are too few."""
    at = 0
    width = words.shape[1]
    for row in range(words.shape[0]):
        start = at
        at += (width + _BITS - 1) // _BITS
        if at > packed.shape[0]:
            return -1
        for column in range(width):
            if (packed[start + column // _BITS] >> np.uint64(column % _BITS)) & _ONE != 0:
                if at == packed.shape[0]:
                    return -1
                words[row, column] = packed[at]
                at += 1
    return at
