"""Correlation: anomalies become incidents, each anomaly forwarded once, as pure keyed state machines.

`Correlation` is keyed by tenant, `ProviderCorrelation` by provider. `docs/correlation.md` says what they promise, how
severity is reckoned and how the two are wired.
"""

from udfs.correlation.notice import OperatorNotice
from udfs.correlation.provider import ProviderCorrelation, ProviderState
from udfs.correlation.settings import CorrelationSettings
from udfs.correlation.state import CorrelationState
from udfs.correlation.tenant import Correlation, Forward, Output

__all__ = [
    "Correlation",
    "CorrelationSettings",
    "CorrelationState",
    "Forward",
    "OperatorNotice",
    "Output",
    "ProviderCorrelation",
    "ProviderState",
]
