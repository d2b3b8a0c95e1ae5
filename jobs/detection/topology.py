"""Topology: the whole data flow of the detection job, with no source and no sink in it."""

from typing import NamedTuple

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream

from operators.control import CONTROL_STATE
from operators.detect import DEAD_LETTERS, LATE, SHARES, Detect
from operators.event_time import with_event_time
from operators.keyed import NOTICES, OUTPUTS, RunKeyedLogic
from operators.lines import LINES, PROVIDER, SUMMARIES, TENANT, TIMED_LINES, by_key, divided
from operators.roll_up import RollUp
from operators.shards import keyed_in_jvm
from operators.side_output import side_output
from udfs.correlation.provider import ProviderCorrelation
from udfs.correlation.tenant import Correlation
from udfs.settings import DetectionSettings


class DetectionStreams(NamedTuple):
    """What the job has to say, each a stream of rows `(Kafka key, value)`.

    Both are bytes, but for dead letters, which are text, and the keys of `late`.
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
        .process(Detect(settings, snapshot), TIMED_LINES)
        .uid("detect")
        .name("detect")
    )
    # 2. Windows that span shards (a tenant's provider, a provider over all tenants) are added up and detected on.
    spanning = (
        keyed_in_jvm(side_output(found, SHARES), Types.INT(), Types.STRING())
        .connect(control.broadcast(CONTROL_STATE))
        .process(RollUp(settings, snapshot), TIMED_LINES)
        .uid("roll-up")
        .name("roll up")
    )
    timed = with_event_time(found.union(spanning))
    # 3. Providers: an outage over all tenants is one incident for operators, and a notice to each tenant it hits.
    of_a_provider = by_key(timed, PROVIDER).uid("naming-a-provider")
    providers = (
        keyed_in_jvm(of_a_provider, Types.STRING(), LINES)
        .process(RunKeyedLogic(ProviderCorrelation(settings.correlation), "provider-correlation"), LINES)
        .uid("correlate-providers")
        .name("correlate providers")
    )
    # 4. Tenants: every anomaly goes on at once, unchanged, once per id; related ones become an incident.
    of_a_tenant = by_key(timed.union(side_output(providers, NOTICES)), TENANT).uid("of-a-tenant")
    tenants = (
        keyed_in_jvm(of_a_tenant, Types.STRING(), LINES)
        .process(RunKeyedLogic(Correlation(settings.correlation), "tenant-correlation"), LINES)
        .uid("correlate-tenants")
        .name("correlate tenants")
    )

    def from_both(name: str) -> DataStream:
        return divided(side_output(tenants, OUTPUTS[name]).union(side_output(providers, OUTPUTS[name])))

    return DetectionStreams(
        anomalies=from_both("anomalies").uid("divide-anomalies").name("divide anomalies"),
        incidents=from_both("incidents").uid("divide-incidents").name("divide incidents"),
        summaries=divided(side_output(found, SUMMARIES).union(side_output(spanning, SUMMARIES)))
        .uid("divide-summaries")
        .name("divide summaries"),
        dead_letters=side_output(found, DEAD_LETTERS),
        late=side_output(found, LATE),
    )
