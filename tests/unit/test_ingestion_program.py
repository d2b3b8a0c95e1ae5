"""What keeps ingestion from starting is one sentence."""

import asyncio
from pathlib import Path

import pytest

from jobs.errors import SentinelError
from jobs.ingestion.program import Program
from jobs.ingestion.settings import IngestionSettings, KafkaSettings


def test_unknown_setting_of_librdkafka_is_named(tmp_path: Path) -> None:
    settings = IngestionSettings(kafka=KafkaSettings(client={"bootstrap.serverz": "x"}))
    with pytest.raises(SentinelError, match=r'^kafka: .*"bootstrap\.serverz"\.$'):
        asyncio.run(Program(settings, tmp_path).run())
