"""Decisions of alert dispatch: pure functions of alerts and time, each with its reason.

The semantics are Prometheus Alertmanager's wherever it has any.
"""
