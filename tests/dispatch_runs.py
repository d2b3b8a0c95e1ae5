"""Runs of dispatch as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

CONFIGURATION = """
route:
  receiver: team
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
- name: team
  webhook_configs:
  - url: {url}
    http_config: {{allowed_networks: [127.0.0.0/8]}}
"""
"""Every name of an alert is a group of its own, told at once."""


class DispatchRun:
    """One process; its log is kept line by line."""

    def __init__(self, folder: Path, configuration: str, *arguments: str, store: str = "", module: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.configuration = folder / "dispatch.yml"
        self.configuration.write_text(configuration)
        self.log = folder / "dispatch.log"
        self.address = ""
        self._argv = [
            *(sys.executable, "-m", "jobs.dispatch", "--config", str(self.configuration)),
            *("--store", store or str(folder / "outbox"), "--listen", "127.0.0.1:0", *arguments),
        ]
        if module:
            self._argv = [sys.executable, "-m", module, *arguments]
        self.process: subprocess.Popen[bytes] | None = None

    def limit_files_to(self, size: int) -> None:
        """Let no file of the process grow beyond a number of bytes, as on a disk that is full."""
        self._argv = ["prlimit", f"--fsize={size}", *self._argv]

    def start(self, *, wait: bool = True) -> "DispatchRun":
        """Start, and return when it is ready."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        self._until(lambda: self._listens(before), "it to listen")
        if wait:
            self._until(self._is_ready, "it to be ready")
        return self

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)

    def hang_up(self) -> None:
        """Tell it to read its configuration again."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGHUP)

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of an answer."""
        answer = httpx.get(f"{self.address}{path}", params=parameters, timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Any) -> httpx.Response:
        """Return the answer to JSON."""
        headers = {"content-type": "application/json"}
        content = json.dumps(body)
        return httpx.post(f"{self.address}{path}", content=content, headers=headers, timeout=60, trust_env=False)

    def fire(self, *names: str, **fields: Any) -> None:
        """Post alerts that fire; what was answered with 200 is durable."""
        body = [{"labels": {"alertname": name}, **fields} for name in names]
        self.post("/api/v2/alerts", body).raise_for_status()

    def said(self, part: str) -> bool:
        """Return whether a line of the log has a part."""
        return part in self.log.read_text()

    def wait_until_said(self, part: str) -> None:
        """Return when a line of the log has a part."""
        self._until(lambda: self.said(part), f"{part!r} in the log")

    def _listens(self, from_byte: int) -> bool:
        for line in self.log.read_bytes()[from_byte:].decode().splitlines():
            if "Listening on" in line:
                found = json.loads(line)["address"] if line.startswith("{") else line.rpartition("address=")[2]
                self.address = f"http://{found}"
                return True
        return False

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/-/ready", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def _until(self, condition: Any, what: str) -> None:
        give_up_at = time.monotonic() + 200
        while not condition():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                raise AssertionError(f"waited in vain for {what}: {self.log.read_text()[-3000:]}")
            time.sleep(0.02)
