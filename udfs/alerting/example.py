"""An example of a notification: a provider that slows down, as the detection job would tell of it."""

from schemas.anomaly import (
    Anomaly,
    AnomalyContext,
    DetectorType,
    Direction,
    Entity,
    EntityType,
    Expected,
    Moved,
    Severity,
)
from schemas.time import from_at_ms
from udfs.alerting.from_anomaly import AlertLinks, alerts_of_anomaly
from udfs.alerting.notification import Notification, NotificationReason

_LASTS_MS = 180_000


def example_anomaly(now_ms: int) -> Anomaly:
    """Return an anomaly of the last minute."""
    return Anomaly(
        anomaly_id="00000000-0000-8000-8000-000000000000",
        timestamp=from_at_ms(now_ms),
        detector_id="latency-level",
        detector_type=DetectorType.STATISTICAL,
        severity=Severity.CRITICAL,
        score=0.9999,
        tenant_id="acme",
        application_id="checkout",
        title="Example: latency_ms_p95 of gpt-4o is high for checkout",
        affected_entity=Entity(
            type=EntityType.MODEL,
            id="model/acme/checkout/openai/gpt-4o",
            name="gpt-4o",
            tenant_id="acme",
            application_id="checkout",
            provider="openai",
            model="gpt-4o",
        ),
        metric="latency_ms_p95",
        unit="ms",
        direction=Direction.HIGH,
        observed=4_500.0,
        expected=Expected(value=1_000.0, low=700.0, high=1_300.0),
        volume=212,
        context=AnomalyContext(window_start=from_at_ms(now_ms - 60_000), window_end=from_at_ms(now_ms)),
        explanation=(
            "latency_ms_p95 was 4,500 ms, 4.5 times the expected 1,000 ms (ordinary: from 700 ms up to 1,300 ms); "
            "when all is well, about one observation in 10,000 is so unusual. This is a test of the receiver."
        ),
        moved=(Moved(dimension="user", value="u-17", share=0.8),),
    )


def example_notification(
    receiver: str, channel: str, now_ms: int, notification_id: str, *, is_over: bool = False
) -> Notification:
    """Return a notification about the example, for one channel of a receiver."""
    links = AlertLinks(anomaly="https://sentinel.example.org/anomalies/{id}")
    alert = alerts_of_anomaly(example_anomaly(now_ms), now_ms, links)[0]
    if is_over:
        ended = {name: getattr(alert, name) for name in alert.__struct_fields__}
        alert = type(alert)(**(ended | {"starts_at_ms": alert.starts_at_ms - _LASTS_MS, "ends_at_ms": now_ms}))
    group = {"alertname": alert.labels["alertname"], "tenant_id": "acme"}
    return Notification(
        notification_id=notification_id,
        receiver=receiver,
        channel=channel,
        group_key='{}:{alertname="LlmLatencyAnomaly", example="true"}',
        group_labels=group,
        common_labels=alert.labels,
        common_annotations=alert.annotations,
        alerts=(alert,),
        resolved=(is_over,),
        reason=NotificationReason.TEST,
        created_at_ms=now_ms,
    )
