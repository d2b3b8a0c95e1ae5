"""Scripts: stories of anomalies with what correlation says to each line, `restart` as an ordinary word.

A line that starts with `>` is an answer, everything else is input:

    # a comment, or an empty line
    +5s checkout latency_ms_p95 critical provider=openai score=0.7      an anomaly
    +5s app{1..20} error_rate warning every=1s                          twenty of them, a second apart
    again                                                               the last anomaly once more
    watermark +6m                                                       event time passes; timers fire
    restart                                                             every state becomes bytes and comes back

Times are relative to 2027-01-15T08:00:00Z. After time, application (`-` for none), metric and severity come
`name=value` pairs: tenant, provider, model, user, detector, type, entity, direction, level, score, trace, id. The world
below is wired like the job: anomalies of a provider as a whole go to the operators' correlation, tenants' to both,
notices to tenants.

`python -m tests.script FILE...` writes the answers of the present code into the files, to be read as a diff.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from schemas.anomaly import (
    Anomaly,
    AnomalyContext,
    DetectorType,
    Direction,
    Entity,
    EntityType,
    Severity,
)
from schemas.incident import Incident
from schemas.time import from_at_ms
from udfs.correlation import Correlation, Forward, OperatorNotice, Output, ProviderCorrelation
from udfs.keyed_logic import KeyedRun

START_AT_MS = 1_800_000_000_000
UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def duration_ms(text: str) -> int:
    """Return the milliseconds in `+1h`, `90s`, `-250ms` or `0`."""
    found = re.fullmatch(r"([+-]?\d+)(ms|s|m|h)?", text)
    if found is None:
        raise ValueError(f"{text!r} is no duration: write digits and ms, s, m or h")
    return int(found[1]) * UNITS_MS[found[2] or "ms"]


def anomaly(
    at_ms: int,
    application: str = "checkout",
    metric: str = "latency_ms_p95",
    severity: str = "warning",
    **options: str,
) -> Anomaly:
    """Return an anomaly at a time relative to the start; options are those of a script line."""
    tenant, provider = options.get("tenant", "acme"), options.get("provider", "openai")
    user, model = options.get("user", ""), options.get("model", "gpt-4o")
    kind = EntityType(options.get("entity", "user" if user else "model"))
    application = "" if application == "-" else application
    if kind is EntityType.USER:
        provider = model = ""
    if not application:
        model = ""
    if kind is EntityType.PROVIDER:
        tenant = ""
    parts = [part for part in (provider, model, tenant, application, user) if part]
    level_ms = duration_ms(options.get("level", "10s"))
    detector = options.get("detector", "robust-z")
    at = from_at_ms(START_AT_MS + at_ms)
    entity_id = "/".join([kind, *parts])
    return Anomaly(
        anomaly_id=options.get("id", f"{detector}/{entity_id}/{metric}/{level_ms}/{at_ms}"),
        timestamp=at,
        detector_id=detector,
        detector_type=DetectorType(options.get("type", "statistical")),
        severity=Severity(severity),
        score=float(options.get("score", "0.5")),
        tenant_id=tenant or None,
        application_id=application or None,
        affected_entity=Entity(
            type=kind,
            id=entity_id,
            tenant_id=tenant,
            application_id=application,
            provider=provider,
            model=model,
            user_id=user,
        ),
        metric="" if metric == "-" else metric,
        direction=Direction(options.get("direction", "high")),
        volume=20 if level_ms else 1,
        context=AnomalyContext(window_start=from_at_ms(START_AT_MS + at_ms - level_ms), window_end=at)
        if level_ms
        else AnomalyContext(),
        trace_ids=tuple(options["trace"].split(",")) if "trace" in options else (),
    )


def anomalies(line: str) -> Iterator[Anomaly]:
    """Yield the anomalies of one script line, a range in braces expanded."""
    words = line.split()
    options = dict(word.split("=", 1) for word in words[4:])
    every_ms = duration_ms(options.pop("every", "0"))
    found = RANGE.search(line)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    for number in range(first, last + 1):
        filled = [RANGE.sub(str(number), word) for word in words[1:4]]
        named = {name: RANGE.sub(str(number), value) for name, value in options.items()}
        yield anomaly(duration_ms(words[0]) + every_ms * (number - first), *filled, **named)


class World:
    """The two correlations, wired by key as in the job; keeps every output."""

    def __init__(self) -> None:
        self.tenants = KeyedRun(Correlation())
        self.providers = KeyedRun(ProviderCorrelation())
        self.outputs: list[Output] = []

    def send(self, item: Anomaly) -> None:
        """Give an anomaly to the keys it belongs to."""
        if item.affected_entity.type is not EntityType.PROVIDER:
            self.keep(self.tenants.send(item.tenant_id or "default", item))
        if item.affected_entity.provider:
            self.keep(self.providers.send(item.affected_entity.provider, item))

    def keep(self, outputs: tuple[Output, ...]) -> None:
        """Keep outputs, and give notices to the tenants they are for."""
        for output in outputs:
            self.outputs.append(output)
            if isinstance(output, OperatorNotice):
                self.keep(self.tenants.send(output.tenant_id, output))

    def pass_time(self, watermark_at_ms: int) -> None:
        """Fire the timers of all keys up to a watermark, the operators' first."""
        for run in (self.providers, self.tenants):
            for _, outputs in run.pass_time(watermark_at_ms):
                self.keep(outputs)

    def restart(self) -> None:
        """Turn every state into bytes and back."""
        self.tenants.restart()
        self.providers.restart()

    def incidents(self) -> dict[str, Incident]:
        """Return the newest state of every incident by id, as readers of the compacted topic have it."""
        return {each.incident_id: each for each in self.outputs if isinstance(each, Incident)}


class Script:
    """A script being run: numbers incidents in order of appearance and renders what is said to each line."""

    def __init__(self) -> None:
        self.world = World()
        self.names: dict[str, str] = {}
        self.last: Anomaly | None = None

    def name(self, incident_id: str | None) -> str:
        """Return the short name of an incident."""
        return "-" if incident_id is None else self.names.setdefault(incident_id, f"#{len(self.names) + 1}")

    def obey(self, line: str) -> list[str]:
        """Return the answers to one line."""
        said = len(self.world.outputs)
        match line.split():
            case []:
                return []
            case [word, *_] if word.startswith("#"):
                return []
            case ["restart"]:
                self.world.restart()
            case ["again"] if self.last is not None:
                self.world.send(self.last)
            case ["watermark", at]:
                self.world.pass_time(START_AT_MS + duration_ms(at))
            case [at, _, _, _, *_] if at[0] in "+-":
                for self.last in anomalies(line):
                    self.world.send(self.last)
            case _:
                raise ValueError(f"{line!r} is no line of a script")
        return self.rendered(self.world.outputs[said:])

    def rendered(self, outputs: list[Output]) -> list[str]:
        """Return what was said: how many anomalies went on, every incident's state, every notice."""
        forwarded = sum(isinstance(output, Forward) for output in outputs)
        lines = [f"> forwarded {forwarded}"] if forwarded else []
        for output in outputs:
            if isinstance(output, Incident):
                owner = output.tenant_id or "operators"
                parent = f" part of {self.name(output.parent_incident_id)}" if output.parent_incident_id else ""
                lines.append(
                    f"> {self.name(output.incident_id)} {owner} {output.scope} {output.status} {output.severity} "
                    f"{output.severity_score:.0f} revision {output.revision}: {output.anomaly_count} anomalies, "
                    f"{len(output.entities)} entities{parent}"
                )
            elif isinstance(output, OperatorNotice):
                lines.append(f"> notice of {self.name(output.incident_id)} to {output.tenant_id}")
        return lines


def played(text: str) -> str:
    """Return a script with the answers of the present code in place of those it holds."""
    script = Script()
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith(">"):
            lines += [line, *script.obey(line)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(played(path.read_text()))
