"""Configuration as it travels in `sentinel.config`, compacted: one record per rule, the newest record of a key holds.

The key is `rule/<rule_id>`, the value the rule as JSON; a null value deletes it. Keys of other kinds are for others.
"""

from typing import Final

from msgspec import Struct

from schemas.codec import decode_record
from schemas.dead_letter import RejectReason
from schemas.refusal import DecodeError
from schemas.rule import Rule

RULE_PREFIX: Final = "rule/"


class RuleRecord(Struct, frozen=True, kw_only=True):
    """What one record says of one rule; `rule` is None where the rule was deleted."""

    rule_id: str
    rule: Rule | None


def rule_key(rule_id: str) -> bytes:
    """Return the record key of a rule."""
    return f"{RULE_PREFIX}{rule_id}".encode()


def decode_rule_record(key: bytes | None, value: bytes | None) -> RuleRecord | None:
    """Return what a record of `sentinel.config` says of a rule, or None if it is about something else.

    Raises DecodeError if the value is no rule, or another rule than the key names.
    """
    if key is None or not key.startswith(RULE_PREFIX.encode()):
        return None
    rule_id = key[len(RULE_PREFIX) :].decode(errors="replace")
    if value is None:
        return RuleRecord(rule_id=rule_id, rule=None)
    rule = decode_record(value, Rule)
    if rule.rule_id != rule_id:
        raise DecodeError(RejectReason.OUT_OF_RANGE, "rule_id: differs from the key of the record")
    return RuleRecord(rule_id=rule_id, rule=rule)
