"""Writes the golden states of the present version of every keyed logic: once, before that version is released.

    python -m tests.golden_states

Golden states of released versions are never written again: they prove that what stands in a savepoint stays readable.
"""

from pathlib import Path

from tests.script import World, anomalies

FOLDER = Path(__file__).parent / "golden" / "state"
STORY = """\
+0s app{1..4} error_rate critical every=1s
+5s - error_rate critical entity=provider
+10s checkout cost_usd critical user=mallory level=1m
+11s checkout cost_usd_per_s warning
+20s search latency_ms_p95 warning provider=anthropic trace=4bf92f3577b34da6
+30s bot guardrail critical level=0 type=rule detector=injection trace=00f067aa0ba902b7
"""


def write() -> None:
    """Write one state of each logic: incidents open and closed, waiting witnesses, calls, a notice."""
    world = World()
    for line in STORY.splitlines():
        for each in anomalies(line):
            world.send(each)
    tenant, provider = world.tenants, world.providers
    states = {
        f"correlation-v{tenant.logic.state_version}.bin": tenant.logic.encode(tenant.states["acme"]),
        f"provider-correlation-v{provider.logic.state_version}.bin": provider.logic.encode(provider.states["openai"]),
    }
    for name, state in states.items():
        (FOLDER / name).write_bytes(state)


if __name__ == "__main__":
    write()
