"""The process with a native configuration: chains, acknowledgements and their place survive a kill -9."""

from pathlib import Path

import pytest

from tests.dispatch_runs import DispatchRun
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = pytest.mark.process

CONFIGURATION = """
alertmanager:
  route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
  receivers:
    - name: team
      webhook_configs: [{{url: "{url}", http_config: {{allowed_networks: [127.0.0.0/8]}}}}]
    - name: first
      webhook_configs: [{{url: "{url}", http_config: {{allowed_networks: [127.0.0.0/8]}}}}]
    - name: second
      webhook_configs: [{{url: "{url}", http_config: {{allowed_networks: [127.0.0.0/8]}}}}]
people:
  ada: {{receivers: [first]}}
  bob: {{receivers: [second]}}
chains:
  all:
    steps:
      - {{step: people, people: [ada]}}
      - {{step: wait, duration: 24h}}
      - {{step: people, people: [bob]}}
escalations: [{{chain: all}}]
"""


def told(receiver: Receiver, name: str, alert: str, *, firing: bool = True) -> int:
    """Return how often a receiver was told that an alert fires, or that it has ended."""
    return sum(
        each.body["receiver"] == name and alert in (each.firing if firing else each.resolved)
        for each in list(receiver.told)
    )


def test_a_chain_goes_on_after_a_crash_and_those_it_told_hear_of_acknowledgement_and_end(tmp_path: Path) -> None:
    with webhook_receiver() as receiver:
        run = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url)).start()
        try:
            run.fire("Left", "Taken")
            receiver.wait_for(
                lambda all_: told(all_, "first", "Left") == told(all_, "first", "Taken") == 1, "the first step"
            )
            paths = {
                alert["labels"]["alertname"]: f"/api/v1/alerts/{alert['fingerprint']}"
                for alert in run.get("/api/v2/alerts")
            }
            run.post(f"{paths['Taken']}/acknowledge", {"by": "ada", "comment": "on it"}).raise_for_status()
            receiver.wait_for(lambda all_: told(all_, "first", "Taken") == 2, "the acknowledgement")
            run.kill()
            run.start()
            why = run.get(f"{paths['Taken']}/why")
            assert (why["state"], why["by"]) == ("acknowledged", "ada")
            run.post(f"{paths['Left']}/escalate", {"by": "bob"}).raise_for_status()
            receiver.wait_for(lambda all_: told(all_, "second", "Left") == 1, "the second step")
            run.fire("Left", "Taken", endsAt="2026-01-01T00:00:00Z", startsAt="2025-12-31T00:00:00Z")
            for name, alert in (("first", "Left"), ("second", "Left"), ("first", "Taken"), ("team", "Taken")):
                receiver.wait_for(
                    lambda all_, name=name, alert=alert: told(all_, name, alert, firing=False) == 1,  # type: ignore[misc]
                    f"the end of {alert} at {name}",
                )
            assert told(receiver, "second", "Taken") == told(receiver, "second", "Taken", firing=False) == 0
        finally:
            run.kill()
