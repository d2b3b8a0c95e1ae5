"""Dispatch under Alertmanager's flags."""

from pathlib import Path

import pytest

from jobs.dispatch.alertmanager import main
from jobs.errors import SentinelError
from tests.dispatch_runs import CONFIGURATION, DispatchRun

pytestmark = pytest.mark.process


def test_flags_of_a_usual_alertmanager_start_dispatch(tmp_path: Path) -> None:
    run = DispatchRun(
        tmp_path,
        CONFIGURATION.format(url="http://127.0.0.1:9/hook"),
        f"--config.file={tmp_path / 'dispatch.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--web.external-url=http://alerts.example/am",
        "--data.retention=48h",
        "--cluster.listen-address=",
        "--cluster.peer-timeout=15s",
        "--log.format=json",
        module="jobs.dispatch.alertmanager",
    )
    try:
        run.start(wait=False)
        run.wait_until_said("This instance leads")
        assert run.get("/am/api/v2/status")["versionInfo"]["version"]
    finally:
        run.kill()


@pytest.mark.parametrize(
    "flag", ["--web.listen-address=9093", "--data.retention=long", "--sentinel.allow-network=here"]
)
def test_wrong_value_names_its_flag(flag: str) -> None:
    with pytest.raises(SentinelError, match=flag.partition("=")[0]):
        main([flag])
