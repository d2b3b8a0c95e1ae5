"""Uids of the job's operators: state in a savepoint is found by them, so they are literal, differ, and only grow."""

import ast
from itertools import chain

from jobs.stack.layout import PROJECT

RELEASED = {
    "anomaly-time",
    "changes-of-models",
    "changes-of-rules",
    "correlate-providers",
    "correlate-tenants",
    "detect",
    "divide-anomalies",
    "divide-incidents",
    "divide-summaries",
    "gather",
    "naming-a-provider",
    "of-a-tenant",
    "roll-up",
    "telemetry",
}
"""Every uid of today. A new one is added; none is changed, and none of an operator with state is taken out."""
RETIRED = {"notices"}
"""Uids of operators without state that are gone. They are not used again."""


def uids() -> list[ast.expr]:
    """Return the arguments of all calls of a method `uid`."""
    files = chain((PROJECT / "jobs" / "detection").glob("*.py"), (PROJECT / "operators").glob("*.py"))
    nodes = chain.from_iterable(ast.walk(ast.parse(file.read_text())) for file in files)
    return [
        node.args[0]
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "uid"
    ]


def test_uids_are_literal_differ_and_only_grow() -> None:
    literal = [uid.value for uid in uids() if isinstance(uid, ast.Constant)]
    assert len(literal) == len(uids())
    assert len(set(literal)) == len(literal)
    assert set(literal) == RELEASED
    assert not RETIRED & RELEASED
