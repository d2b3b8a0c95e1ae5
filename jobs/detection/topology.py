"""Topology: the whole data flow of the detection job, with no source and no sink in it."""

from typing import NamedTuple

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, KeyedStream

from operators.control import CONTROL_STATE
from operators.detect import (
    ANOMALY_ROW,
    DEAD_LETTERS,
    KEYED_TEXT,
    LATE,
    SHARES,
    Detect,
)
from operators.event_time import with_event_time
from operators.keyed import OUTPUTS, RunKeyedLogic
from operators.lines import SUMMARIES, divided
from operators.roll_up import RollUp
from operators.shards import keyed_in_jvm, keys_before
from operators.side_output import side_output
from udfs.correlation.provider import ProviderCorrelation
from udfs.correlation.tenant import Correlation
from udfs.settings import DetectionSettings

_TENANT, _PROVIDER = 0, 2
"""Fields of an anomaly row."""


class DetectionStreams(NamedTuple):
    """What the job has to say, each a stream of rows `(Kafka key, value)`.

    Both are text, but for the values of `late`, and keys and values of `summaries`, which are bytes.
    """

    anomalies: DataStream
    incidents: DataStream
    summaries: DataStream
    dead_letters: DataStream
    late: DataStream


def build(
    telemetry: KeyedStream, control: DataStream, settings: DetectionSettings, snapshot: dict[str, str]
) -> DetectionStreams:
    """Return the streams of the detection job.

    `telemetry` holds rows of records per partition and tick, keyed by shard (`operators.shards.gather`); `control`
    rows `(key, JSON, offset)` of rules and models that changed after `snapshot` was read.
    """
    # 1. Every shard decodes, detects on events, counts windows and detects on them; the rest leaves by side outputs.
    found = (
        telemetry.connect(control.broadcast(CONTROL_STATE))
        .process(Detect(settings, snapshot), ANOMALY_ROW)
        .uid("detect")
        .name("detect")
    )
    # 2. Windows that span shards (a tenant's provider, a provider over all tenants) are added up and detected on.
    spanning = (
        keyed_in_jvm(side_output(found, SHARES), Types.INT(), Types.STRING())
        .connect(control.broadcast(CONTROL_STATE))
        .process(RollUp(settings, snapshot), ANOMALY_ROW)
        .uid("roll-up")
        .name("roll up")
    )
    timed = with_event_time(found.union(spanning))
    # 3. Providers: an outage over all tenants is one incident for operators, and a notice to each tenant it hits.
    naming = keys_before(timed, _PROVIDER, ANOMALY_ROW).uid("naming-a-provider")
    providers = (
        keyed_in_jvm(naming, Types.STRING(), ANOMALY_ROW)
        .process(RunKeyedLogic(ProviderCorrelation(settings.correlation), "provider-correlation"), KEYED_TEXT)
        .uid("correlate-providers")
        .name("correlate providers")
    )
    # 4. Tenants: every anomaly goes on at once, unchanged, once per id; related ones become an incident.
    notices = side_output(providers, OUTPUTS["notices"])
    heard = notices.map(lambda notice: Row(notice[0], notice[1], "", 0), ANOMALY_ROW).uid("notices")
    of_a_tenant = keys_before(timed.union(heard), _TENANT, ANOMALY_ROW).uid("of-a-tenant")
    tenants = (
        keyed_in_jvm(of_a_tenant, Types.STRING(), ANOMALY_ROW)
        .process(RunKeyedLogic(Correlation(settings.correlation), "tenant-correlation"), KEYED_TEXT)
        .uid("correlate-tenants")
        .name("correlate tenants")
    )

    def from_both(name: str) -> DataStream:
        return side_output(tenants, OUTPUTS[name]).union(side_output(providers, OUTPUTS[name]))

    return DetectionStreams(
        anomalies=from_both("anomalies"),
        incidents=from_both("incidents"),
        summaries=divided(side_output(found, SUMMARIES).union(side_output(spanning, SUMMARIES))),
        dead_letters=side_output(found, DEAD_LETTERS),
        late=side_output(found, LATE),
    )
