"""Anomalies and incidents are queried by Flink SQL, over a real broker and on a real cluster."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest
from confluent_kafka import Producer
from msgspec.structs import replace

from jobs.backtest.telemetry import Backtest, backtest
from jobs.errors import SentinelError
from jobs.stack.sql_client import TABLES, run_sql
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES, CONFIG, DEAD_LETTERS, INCIDENTS, LATE, MODELS, SUMMARIES, TELEMETRY
from schemas.codec import encode
from schemas.incident import IncidentStatus
from tests.calls import START_AT_MS, heartbeat, troubled_calls
from udfs.settings import DetectionSettings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

BOUNDED = "/*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"
SECONDS = 900


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own: its topics hold what is produced here and nothing else."""
    stack = Stack(tmp_path_factory.mktemp("sql") / "stack")
    stack.up(taskmanagers=1, job=False)
    try:
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def found(stack: Stack) -> Backtest:
    """What detection finds in troubled traffic, in the topics; some of it twice, as after a failure."""
    records = [encode(event) for event in troubled_calls(SECONDS)]
    records += [b"not JSON", heartbeat(START_AT_MS + (SECONDS + 120) * 1_000, 0)]
    result = backtest(records, DetectionSettings())
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for anomaly in [*result.anomalies, *result.anomalies[:10]]:
        producer.produce(ANOMALIES.name, encode(anomaly), key=anomaly.fingerprint)
    for incident in result.incidents:
        # An older state first: compaction may not have come yet, the newest holds all the same.
        older = replace(incident, status=IncidentStatus.OPEN)
        for state in (older, replace(incident, revision=incident.revision + 1)):
            producer.produce(INCIDENTS.name, encode(state), key=incident.incident_id)
    for summary in result.summaries[:500]:
        producer.produce(SUMMARIES.name, encode(summary), key=summary.entity.id)
    for letter in result.dead_letters:
        producer.produce(DEAD_LETTERS.name, encode(letter), key=letter.dead_letter_id)
    for record in records[:100]:
        producer.produce(TELEMETRY.name, record)
    producer.produce(TELEMETRY.name, b"not JSON")
    producer.produce(LATE.name, records[0], key="llm-telemetry-0-17")
    for topic, key in ((CONFIG, "rule/slow"), (MODELS, "model/forest")):
        producer.produce(topic.name, b'{"name": "old"}', key=key)
        producer.produce(topic.name, b'{"name": "new"}', key=key)
    assert producer.flush(30) == 0
    return result


def rows(lines: list[str]) -> list[list[str]]:
    """Return the cells of all rows that the client has printed as tables, the first cell being the kind of change."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[0] in {"+I", "-U", "+U", "-D"}]


def state_of(changes: list[list[str]], keys: int) -> dict[tuple[str, ...], list[str]]:
    """Return what a changelog amounts to, by the first cells of its rows."""
    state: dict[tuple[str, ...], list[str]] = {}
    for change, *cells in changes:
        if change in {"+I", "+U"}:
            state[tuple(cells[:keys])] = cells[keys:]
        else:
            state.pop(tuple(cells[:keys]), None)
    return state


def query(stack: Stack, text: str, *, on_cluster: bool = False) -> list[list[str]]:
    """Return the changes that a query has printed."""
    lines: list[str] = []
    run_sql(stack.layout, stack.bootstrap_servers, text, on_cluster=on_cluster, tell=lines.append)
    return rows(lines)


def test_anomalies_per_detector_and_minute_on_the_cluster(stack: Stack, found: Backtest) -> None:
    text = (TABLES.parent / "anomalies_per_minute.sql").read_text()
    counted = {key: int(cells[0]) for key, cells in state_of(query(stack, text, on_cluster=True), 2).items()}
    wanted = Counter(
        (f"{datetime.fromisoformat(each.timestamp):%Y-%m-%d %H:%M}:00.000", each.detector_id)
        for each in found.anomalies
    )
    assert counted == wanted


def test_open_incidents_are_those_whose_newest_state_is_open(stack: Stack, found: Backtest) -> None:
    text = (TABLES.parent / "open_incidents.sql").read_text()
    listed = state_of(query(stack, text), 1)
    wanted = {
        (each.incident_id,): each.severity.value for each in found.incidents if each.status is IncidentStatus.OPEN
    }
    assert {key: cells[0] for key, cells in listed.items()} == wanted


EVERY_TABLE = {
    "SELECT 'telemetry', COUNT(*) FROM telemetry BOUNDED WHERE `data`.`latency_ms` > 0": ["telemetry", "100"],
    "SELECT 'reason', MAX(`reason`) FROM dead_letters BOUNDED": ["reason", "not_json"],
    "SELECT 'summaries', COUNT(*) FROM summaries BOUNDED WHERE entity.`type` <> ''": ["summaries", "500"],
    "SELECT 'late', `came_from` FROM late_events BOUNDED": ["late", "llm-telemetry-0-17"],
    "SELECT `record_key`, JSON_VALUE(`document`, '$.name') FROM config BOUNDED": ["rule/slow", "new"],
    "SELECT `record_key`, JSON_VALUE(`document`, '$.name') FROM published_models BOUNDED": ["model/forest", "new"],
}


def test_every_table_can_be_read(stack: Stack, found: Backtest) -> None:
    assert found.dead_letters
    # One client for all of them: each start takes seconds.
    read = state_of(query(stack, ";\n".join(EVERY_TABLE).replace("BOUNDED", BOUNDED) + ";"), 1)
    assert [[key[0], *cells] for key, cells in read.items()] == list(EVERY_TABLE.values())


def test_wrong_sql_is_refused_in_a_sentence(stack: Stack) -> None:
    with pytest.raises(SentinelError, match="no_such_table"):
        query(stack, "SELECT * FROM no_such_table;")
