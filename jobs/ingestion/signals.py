"""Signals: the kinds of telemetry that OTLP carries."""

from enum import Enum


class Signal(Enum):
    """A kind of OTLP telemetry."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"
