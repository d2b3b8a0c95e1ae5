"""Attributes that no table names: kept as far as they are short, few, and unlikely to be content."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from udfs.normalise.reading import label, plain
from udfs.text.redaction import redacted

ATTRIBUTES_MAX: Final = 32
NAME_MAX: Final = 128
TEXT_MAX: Final = 128

_CONTENT: Final = re.compile(
    r"prompt|completion|message|content|input|output|query|document|argument|result|response|request|body|text|instruct"
    r"|question|answer|header|secret|password|token|key|cookie|authorization|llm\.",
    re.IGNORECASE,
)
"""Names that may stand for what was said, or for a credential. Better to lose a harmless one than to keep a prompt."""
_CREDENTIAL: Final = re.compile(r"secret|password|cookie|authorization|api_?key", re.IGNORECASE)


def kept_attributes(pairs: Iterable[KeyValue], *, redact: bool) -> dict[str, Any]:
    """Return numbers, truth values and short texts by name, the first ones in the order of names."""
    kept: dict[str, Any] = {}
    for pair in pairs:
        name = pair.key
        if _is_harmless(name):
            value = pair.value.string_value or plain(pair.value)
            if isinstance(value, str):
                if len(value) <= TEXT_MAX:
                    kept[name] = _redacted(value) if redact else value
            elif isinstance(value, int | float):
                kept[name] = value
    return dict(sorted(kept.items())[:ATTRIBUTES_MAX])


@lru_cache(maxsize=4_096)
def _is_harmless(name: str) -> bool:
    return len(name) <= NAME_MAX and _CONTENT.search(name) is None


# Names of hosts, SDKs and libraries come again and again, and looking for secrets costs more than all else here.
_redacted: Final = lru_cache(maxsize=4_096)(redacted)


def _name(pair: KeyValue) -> str:
    return pair.key


def kept_labels(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """Return the labels of a metric by name: short texts that tell its series apart, never a credential."""
    kept: dict[str, str] = {}
    for pair in sorted(pairs, key=_name):
        value = label(pair.value)
        if value and len(value) <= TEXT_MAX and len(pair.key) <= NAME_MAX and not _CREDENTIAL.search(pair.key):
            kept[pair.key] = value
            if len(kept) == ATTRIBUTES_MAX:
                break
    return kept
