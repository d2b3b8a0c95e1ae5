"""Wrappers: spans that contain a call which is counted, so that its tokens and cost are not counted twice.

A chain or an agent often repeats on its own span what the calls inside it used, and two instrumentations may both
report a call, one around the other. The innermost span counts. It ends first and so is exported first, by one program
that is: a wrapper that arrives before the call inside it is taken for a call.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

REMEMBERED: Final = 65_536
"""Spans that are remembered, the newest ones; about 150 bytes each."""


class Step(NamedTuple):
    """What matters here of one span."""

    ids: bytes
    """Trace id and span id."""
    parent_ids: bytes
    """Trace id and span id of the parent; the trace id alone if there is none."""
    is_call: bool
    has_tokens: bool


class Wrappers:
    """Spans of one tenant known to contain a call. One value for each tenant, kept by the caller; bounded."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        """Begin without any."""
        self._inner_has_tokens: dict[bytes, bool] = {}
        self._remembered = remembered

    def learn(self, steps: Sequence[Step]) -> None:
        """Take in the spans of one request, in any order."""
        known = self._inner_has_tokens
        parents = {step.ids: step.parent_ids for step in steps}
        for step in steps:
            if step.is_call or step.ids in known:
                has_tokens = step.has_tokens or known.get(step.ids, False)
                above = step.parent_ids
                # A cycle of parents ends here too: the second time round there is nothing left to say.
                while len(above) > _TRACE_ID and (above not in known or (has_tokens and not known[above])):
                    known[above] = has_tokens
                    above = parents.get(above, b"")
        for _ in range(len(known) - self._remembered):
            del known[next(iter(known))]

    def contains_call(self, step: Step) -> bool:
        """Return whether a span repeats a call inside it: one with tokens, or one without while it has none either."""
        inner_has_tokens = self._inner_has_tokens.get(step.ids)
        return inner_has_tokens is not None and (inner_has_tokens or not step.has_tokens)


_TRACE_ID: Final = 16
