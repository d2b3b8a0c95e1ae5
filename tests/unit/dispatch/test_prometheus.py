"""Prometheus sends its alerts to dispatch as to any Alertmanager."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.stack.ports import LOOPBACK, free_port
from tests.dispatch_runs import CONFIGURATION, DispatchRun
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = pytest.mark.process


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_alert_of_prometheus_reaches_the_receiver(receiver: Receiver, tmp_path: Path) -> None:
    run = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url)).start()
    (tmp_path / "rules.yml").write_text(
        "groups:\n- name: always\n  rules:\n  - alert: Always\n    expr: vector(1)\n    labels: {severity: critical}\n"
    )
    (tmp_path / "prometheus.yml").write_text(
        "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\nalerting:\n  alertmanagers:\n"
        f"  - static_configs: [{{targets: ['{run.address.removeprefix('http://')}']}}]\n"
    )
    argv = [
        *("prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"),
        f"--web.listen-address={LOOPBACK}:{free_port()}",
        # What is sent before it has found dispatch is lost; it is sent again after this.
        "--rules.alert.resend-delay=1s",
    ]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as prometheus:
        try:
            receiver.wait_for(lambda all_: any("Always" in told.firing for told in all_.told), "Prometheus' alert")
            (alert,) = run.get("/api/v2/alerts", filter='alertname="Always"')
            assert alert["labels"] == {"alertname": "Always", "severity": "critical"}
            assert alert["generatorURL"].startswith("http://")
        finally:
            prometheus.terminate()
            run.kill()
