"""OTLP messages of any content, most of it with names that the mapping knows; the same for the same seed."""

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from tests.otlp import END_NS, any_value
from udfs.normalise.mapping import PRECEDENCE, operations, rows

Made = TypeVar("Made")

NAMES = sorted({row.attribute.replace("*", "0.message.content") for row in rows("claude-code", *PRECEDENCE)})
WORDS = [
    *operations(),
    *("openai", "gpt-4o", "claude-sonnet-4-5", "true", "yes", "ERROR", "USD", "EUR", "timeout", "2026-05-28T20:26:41Z"),
    *("12", "-3", "1e400", "nan", "1_0", "٣", "", " ", "\x00", "a\x1fb", "🜏" * 3, "y" * 400, "[", "{}", "null"),
    *(
        '[{"content": "hi"}, 3]',
        '{"input": -1, "output": 2.5, "total": 1e30}',
        '["stop", 1]',
        '{"total": "x"}',
        "[" * 1_100,
    ),
]
NUMBERS = [0, 1, -1, 7, 500, 10**13, -(2**63), 2**63 - 1]
DOUBLES = [0.0, -0.0, 0.5, -2.5, 3.0, 1e9, 1e300, float("inf"), float("-inf"), float("nan"), 5e-324]
TIMES = [0, 1, END_NS, END_NS - 10**9, END_NS + 10**9, 2**64 - 1]
COUNTS = [0, 1, 3, 2**64 - 1]


def seeded(make: Callable[[Random], Made]) -> st.SearchStrategy[Made]:
    """Return a strategy of what is made of a seed: drawing every part of a message by itself would take seconds."""
    return st.integers(0, 2**32).map(lambda seed: make(Random(seed)))


def resource_spans(random: Random) -> ResourceSpans:
    """Return the spans of a program."""
    found = ResourceSpans()
    found.resource.attributes.extend(_attributes(random))
    found.scope_spans.add().spans.extend(_span(random) for _ in range(random.randrange(5)))
    return found


def resource_logs(random: Random) -> ResourceLogs:
    """Return the log records of a program."""
    found = ResourceLogs()
    found.resource.attributes.extend(_attributes(random))
    names = [
        "",
        "gen_ai.choice",
        "gen_ai.user.message",
        "gen_ai.evaluation.result",
        "claude_code.api_request",
        "x" * 300,
    ]
    for _ in range(random.randrange(4)):
        record = LogRecord(
            time_unix_nano=random.choice(TIMES),
            observed_time_unix_nano=random.choice(TIMES),
            event_name=random.choice(names),
            body=any_value(random.choice([_plain(random), "claude_code.api_error"])),
            attributes=_attributes(random),
            trace_id=_trace_id(random),
            span_id=_span_id(random),
        )
        if random.random() < 0.3:
            record.attributes.append(KeyValue(key="event.name", value=any_value(random.choice(names))))
        found.scope_logs.add().log_records.append(record)
    return found


def resource_metrics(random: Random) -> otlp.ResourceMetrics:
    """Return the metrics of a program."""
    found = otlp.ResourceMetrics()
    found.resource.attributes.extend(_attributes(random))
    scope = found.scope_metrics.add()
    for _ in range(random.randrange(4)):
        metric = scope.metrics.add(
            name=random.choice(["gen_ai.client.token.usage", "vllm:time_to_first_token_seconds", "llm.\x01", "cpu"]),
            unit=random.choice(["s", "ms", "{token}", "", "\x1f", "u" * 300]),
        )
        kind = random.choice(["gauge", "sum", "histogram", "exponential_histogram", "summary"])
        body = getattr(metric, kind)
        body.SetInParent()
        if kind in {"sum", "histogram", "exponential_histogram"}:
            body.aggregation_temporality = random.randrange(3)
        if kind == "sum":
            body.is_monotonic = random.random() < 0.7
        for _ in range(random.randrange(4)):
            _add_point(random, body, kind)
    return found


def _span(random: Random) -> Span:
    span = Span(
        trace_id=_trace_id(random),
        span_id=_span_id(random),
        parent_span_id=_span_id(random),
        name=random.choice(WORDS),
        start_time_unix_nano=random.choice(TIMES),
        end_time_unix_nano=random.choice([END_NS, END_NS, *TIMES]),
        attributes=_attributes(random),
    )
    span.status.code = random.choice([Status.STATUS_CODE_UNSET, Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR])
    for name in random.sample(["exception", "gen_ai.choice", "gen_ai.user.message", "First Token Stream Event"], 2):
        if random.random() < 0.3:
            span.events.add(name=name, time_unix_nano=random.choice(TIMES), attributes=_attributes(random))
    return span


def _add_point(random: Random, body: Any, kind: str) -> None:
    point = body.data_points.add(
        time_unix_nano=random.choice(TIMES),
        start_time_unix_nano=random.choice(TIMES),
        attributes=_attributes(random),
        flags=int(random.random() < 0.1),
    )
    if kind in {"gauge", "sum"}:
        if random.random() < 0.5:
            point.as_int = random.choice(NUMBERS)
        elif random.random() < 0.9:
            point.as_double = random.choice(DOUBLES)
        return
    point.count, point.sum = random.choice(COUNTS), random.choice(DOUBLES)
    counts = random.choices(COUNTS, k=random.randrange(5))
    if kind == "histogram":
        point.bucket_counts.extend(counts)
        point.explicit_bounds.extend(random.choices(DOUBLES, k=random.choice([len(counts) - 1, 2]) if counts else 0))
        point.min = random.choice(DOUBLES)
    elif kind == "exponential_histogram":
        point.scale = random.choice([-(2**31), -11, -1, 0, 3, 20, 2**31 - 1])
        point.zero_count = random.choice(COUNTS)
        point.positive.offset = random.choice([-(2**31), -3, 0, 5, 2**31 - 1])
        point.positive.bucket_counts.extend(counts)


def _attributes(random: Random) -> list[KeyValue]:
    """Return attributes of different names."""
    names = set(random.choices(NAMES, k=random.randrange(12)))
    names |= {random.choice(["", "x" * 300, "my.flag", "token", "gen_ai.", "a\x00b"])}
    return [KeyValue(key=name, value=any_value(_plain(random))) for name in sorted(names)]


def _plain(random: Random, levels: int = 3) -> Any:
    """Return a value of any kind."""
    kind = random.randrange(9 if levels else 7)
    if kind == 0:
        return random.choice([None, True, False, b"\xff\x00"])
    if kind in {1, 2}:
        return random.choice(NUMBERS)
    if kind == 3:
        return random.choice(DOUBLES)
    if kind <= 6:
        return random.choice(WORDS)
    inner = [_plain(random, levels - 1) for _ in range(random.randrange(3))]
    return inner if kind == 7 else {random.choice(WORDS): each for each in inner}


def _trace_id(random: Random) -> bytes:
    return random.choice([bytes(15) + b"\x07", bytes(15) + b"\x07", bytes(16), b"", b"short", b"x" * 20])


def _span_id(random: Random) -> bytes:
    return random.choice([*(number.to_bytes(8, "big") for number in range(6)), b"", b"y" * 10])
