"""The Flink SQL tables have the columns of the records."""

import re

import pytest
from msgspec import Struct, inspect

from jobs.stack.sql_client import TABLES, tables_of
from jobs.topics import TOPICS
from schemas.action import Action
from schemas.alert_change import AlertChange
from schemas.anomaly import Anomaly
from schemas.dead_letter import DeadLetter
from schemas.feedback import Feedback
from schemas.fields import alternatives, fields_of, is_instant
from schemas.incident import Incident
from schemas.summary import Summary
from schemas.telemetry import TelemetryEvent

SCALARS: dict[type[inspect.Type], str] = {
    inspect.StrType: "STRING",
    inspect.EnumType: "STRING",
    inspect.LiteralType: "STRING",
    inspect.IntType: "BIGINT",
    inspect.FloatType: "DOUBLE",
    inspect.BoolType: "BOOLEAN",
}


def statement(table: str) -> str:
    """Return the statement that creates a table, without comments, blanks made one."""
    text = " ".join(re.sub(r"--.*", "", TABLES.read_text()).split())
    found = re.search(rf"CREATE TEMPORARY TABLE {table} \((.*?)\) WITH \(", text)
    assert found is not None, table
    return found[1].strip()


def columns(kind: type[Struct]) -> str:
    """Return the columns of a record as Flink's JSON format reads them."""
    return ", ".join(f"`{field.name}` {_sql(field.type)}" for field in fields_of(kind))


def _sql(kind: inspect.Type) -> str:
    if is_instant(kind):
        return "TIMESTAMP_LTZ(3)"
    plain = alternatives(kind)[0]
    match plain:
        case inspect.StructType(cls=record):
            return f"ROW<{columns(record)}>"
        case inspect.DictType(value_type=values):
            return f"MAP<STRING, {_sql(values)}>"
        case inspect.VarTupleType(item_type=items):
            return f"ARRAY<{_sql(items)}>"
    return SCALARS[type(plain)]


@pytest.mark.parametrize(
    ("table", "record"),
    [
        ("anomalies", Anomaly),
        ("incidents", Incident),
        ("summaries", Summary),
        ("dead_letters", DeadLetter),
        ("feedback", Feedback),
        ("alerts", AlertChange),
        ("actions", Action),
    ],
)
def test_table_has_the_columns_of_its_record(table: str, record: type[Struct]) -> None:
    written = statement(table).replace("ROW< ", "ROW<")
    assert written.startswith(columns(record) + ","), columns(record)


def test_columns_of_telemetry_are_fields_of_it() -> None:
    """The table leaves texts and free-form objects out; what it names has the names of the envelope, in its order."""
    written = re.findall(r"`(\w+)` ([A-Z]+)", statement("telemetry").split("`written_at`")[0])
    envelope = fields_of(TelemetryEvent)
    known = [(field.name, field) for field in envelope]
    inner = {
        name: [each.name for each in fields_of(alternatives(field.type)[0].cls)]  # type: ignore[attr-defined]
        for name, field in known
        if isinstance(alternatives(field.type)[0], inspect.StructType)
    }
    names = {name for name, _ in known} | {name for fields in inner.values() for name in fields}
    assert {name for name, _ in written} <= names
    assert {name for name, _ in known} <= {name for name, _ in written}
    assert "prompt" not in {name for name, _ in written}


def test_every_topic_has_a_table() -> None:
    named = set(re.findall(r"'topic' = '([^']+)'", TABLES.read_text()))
    assert named == {topic.name for topic in TOPICS}


def test_tables_are_made_with_the_address_of_the_cluster_at_hand() -> None:
    text = tables_of("kafka:9094")
    assert "127.0.0.1" not in text
    assert text.count("'properties.bootstrap.servers' = 'kafka:9094'") == text.count("CREATE TEMPORARY TABLE")
