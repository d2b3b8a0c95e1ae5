"""Strategies for stories: sequences of anomalies and of event time passing, in a world small enough for encounters."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.anomaly import Anomaly
from tests.script import START_AT_MS, anomaly
from udfs.correlation import OperatorNotice

APPLICATIONS = ("a1", "a2", "a3", "a4", "b/1")
PROVIDERS = ("openai", "anthropic", "unknown")
METRICS = ("latency_ms_p95", "latency_ms_mean", "error_rate", "tokens_per_s", "cost_usd", "guardrail", "own", "-")


@st.composite
def anomalies(draw: st.DrawFn, *, tenants: tuple[str, ...] = ("acme",), kinds: tuple[str, ...] = ()) -> Anomaly:
    """Draw an anomaly of the first forty minutes, in any order."""
    kind = draw(st.sampled_from(kinds or ("model", "model", "model", "user", "tenant_provider")))
    options = {
        "entity": kind,
        "tenant": draw(st.sampled_from(tenants)),
        "provider": draw(st.sampled_from(PROVIDERS)),
        "model": draw(st.sampled_from(("m1", "m2"))),
        "detector": draw(st.sampled_from(("robust-z", "ewma"))),
        "type": draw(st.sampled_from(("statistical", "rule", "ml"))),
        "level": draw(st.sampled_from(("0", "10s", "1m"))),
        "direction": draw(st.sampled_from(("high", "low"))),
        "score": str(draw(st.sampled_from((0.0, 0.5, 1.0)))),
    }
    if kind == "user":
        options["user"] = draw(st.sampled_from(("u1", "u2", "u3", "u4")))
    if draw(st.booleans()):
        options["trace"] = draw(st.sampled_from(("t1", "t2", "t3,t1")))
    at_ms = draw(st.integers(0, 240)) * 10_000 + draw(st.integers(0, 2))
    application = "-" if kind in {"tenant_provider", "provider"} else draw(st.sampled_from(APPLICATIONS))
    severity = draw(st.sampled_from(("info", "warning", "warning", "critical")))
    return anomaly(at_ms, application, draw(st.sampled_from(METRICS)), severity, **options)


@st.composite
def notices(draw: st.DrawFn) -> OperatorNotice:
    """Draw a notice of an operators' incident in the same forty minutes."""
    opened_ms = START_AT_MS + draw(st.integers(0, 40)) * 60_000
    return OperatorNotice(
        tenant_id="acme",
        provider=draw(st.sampled_from(PROVIDERS)),
        incident_id=draw(st.sampled_from(("operators-1", "operators-2"))),
        opened_at_ms=opened_ms,
        until_ms=opened_ms + draw(st.sampled_from((60_000, 14_400_000))),
    )


def tenant_items() -> SearchStrategy[Anomaly | OperatorNotice]:
    """Items for the correlation of one tenant."""
    return st.one_of(anomalies(), anomalies(), anomalies(), notices())


def provider_items() -> SearchStrategy[Anomaly]:
    """Items for the correlation of one provider: its own anomalies, and those of tenants on it."""
    own = anomalies(kinds=("provider",))
    return st.one_of(own, anomalies(tenants=("acme", "globex", "initech"), kinds=("model", "tenant_provider")))


def watermarks() -> SearchStrategy[int]:
    """Event times within and shortly after the story, less than the hour for which forwarded ids are remembered."""
    return st.integers(0, 59).map(lambda minutes: START_AT_MS + minutes * 60_000)
