"""Shards: integers to key by, chosen so that Flink deals them evenly over the subtasks."""

MAX_PARALLELISM = 120
"""Key groups; fixed for the life of the state (`pipeline.max-parallelism`)."""

_WORD = 0xFFFFFFFF


def key_group(key: int, max_parallelism: int = MAX_PARALLELISM) -> int:
    """Return the key group of a Flink `Row` that holds one integer.

    `Row.hashCode()` of one Integer field is the integer plus 62; `KeyGroupRangeAssignment` applies murmur3's mixing of
    one 32-bit block to it (Flink 2.3, `MathUtils.murmurHash`).
    """
    code = (key + 62) & _WORD
    code = (code * 0xCC9E2D51) & _WORD
    code = _rotate(code, 15)
    code = (code * 0x1B873593) & _WORD
    code = _rotate(code, 13)
    code = (code * 5 + 0xE6546B64) & _WORD
    code ^= 4
    code ^= code >> 16
    code = (code * 0x85EBCA6B) & _WORD
    code ^= code >> 13
    code = (code * 0xC2B2AE35) & _WORD
    code ^= code >> 16
    signed = code - (1 << 32) if code >> 31 else code
    return abs(signed) % max_parallelism if signed != -(1 << 31) else 0


def subtask(key: int, parallelism: int, max_parallelism: int = MAX_PARALLELISM) -> int:
    """Return the subtask that a shard key is processed by."""
    return key_group(key, max_parallelism) * parallelism // max_parallelism


def shard_keys(shards: int, max_parallelism: int = MAX_PARALLELISM) -> tuple[int, ...]:
    """Return one key per shard, its key group in the middle of the shard's equal part of all key groups.

    For every parallelism up to the number of shards, subtasks then differ by at most one shard.
    """
    wanted = {(2 * shard + 1) * max_parallelism // (2 * shards): shard for shard in range(shards)}
    keys: dict[int, int] = {}
    candidate = 0
    while not all(group in keys for group in wanted):
        keys.setdefault(key_group(candidate, max_parallelism), candidate)
        candidate += 1
    return tuple(keys[group] for group in wanted)


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _WORD
