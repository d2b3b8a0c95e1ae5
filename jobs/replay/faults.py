"""Faults as data: what goes wrong, for whom, when and how much; written as YAML or JSON, or by hand."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from jobs.errors import SentinelError
from jobs.replay.world import Application, Model, World
from schemas.anomaly import Severity
from schemas.rule import Duration


class FaultKind(StrEnum):
    """What goes wrong, and what `Fault.magnitude` means."""

    LATENCY = "latency"
    """Total latency times the magnitude; the first token comes as usual."""
    TTFT = "ttft"
    """Time to the first token times the magnitude; the total latency grows by the difference."""
    TOKENS = "tokens"
    """Prompt and completion tokens times the magnitude; latency and cost follow."""
    ERRORS = "errors"
    """Share of calls that fail, in [0, 1]."""
    COST = "cost"
    """Cost times the magnitude; tokens as usual (a wrong price, a dearer tier)."""
    RUNAWAY_USER = "runaway_user"
    """Calls of one user times the magnitude, and so the tokens of this user."""
    PROVIDER_OUTAGE = "provider_outage"
    """Share of calls to a provider that fail or time out, over all its applications (of one tenant, if given)."""
    SILENCE = "silence"
    """Share of the calls of an application that remain; 0 is silence."""
    ABSURD = "absurd"
    """One single call has this many times its latency and a quarter as many times its tokens: 400 and 100."""


DEFAULT_MAGNITUDE = {
    FaultKind.LATENCY: 2.0,
    FaultKind.TTFT: 3.0,
    FaultKind.TOKENS: 3.0,
    FaultKind.ERRORS: 0.10,
    FaultKind.COST: 5.0,
    FaultKind.RUNAWAY_USER: 50.0,
    FaultKind.PROVIDER_OUTAGE: 0.80,
    FaultKind.SILENCE: 0.0,
    FaultKind.ABSURD: 400.0,
}

ABSURD_TOKENS_SHARE = 0.25
"""Tokens of the absurd call, as a share of the magnitude."""

EXPECTED_SEVERITY = {
    FaultKind.LATENCY: Severity.WARNING,
    FaultKind.TTFT: Severity.WARNING,
    FaultKind.TOKENS: Severity.WARNING,
    FaultKind.ERRORS: Severity.WARNING,
    FaultKind.COST: Severity.CRITICAL,
    FaultKind.RUNAWAY_USER: Severity.CRITICAL,
    FaultKind.PROVIDER_OUTAGE: Severity.CRITICAL,
    FaultKind.SILENCE: Severity.CRITICAL,
    FaultKind.ABSURD: Severity.CRITICAL,
}

TOUCHED_METRICS = {
    FaultKind.LATENCY: ("latency_ms",),
    FaultKind.TTFT: ("ttft_ms", "latency_ms"),
    FaultKind.TOKENS: ("prompt_tokens", "completion_tokens", "latency_ms", "cost_usd"),
    FaultKind.ERRORS: ("error_rate",),
    FaultKind.COST: ("cost_usd",),
    FaultKind.RUNAWAY_USER: ("calls_per_s", "tokens_per_s", "cost_usd_per_s"),
    FaultKind.PROVIDER_OUTAGE: ("error_rate", "tokens_per_s", "cost_usd_per_s"),
    FaultKind.SILENCE: ("calls_per_s", "tokens_per_s", "cost_usd_per_s"),
    FaultKind.ABSURD: ("latency_ms", "prompt_tokens", "completion_tokens", "cost_usd"),
}
"""Metrics that a fault moves directly."""

_SHARES = (FaultKind.ERRORS, FaultKind.PROVIDER_OUTAGE, FaultKind.SILENCE)
_REQUIRED_SCOPE = {
    FaultKind.RUNAWAY_USER: ("application_id", "user_id"),
    FaultKind.PROVIDER_OUTAGE: ("provider",),
    FaultKind.SILENCE: ("application_id",),
    FaultKind.ABSURD: ("application_id",),
}


class FaultError(SentinelError):
    """A fault plan cannot be used; the message says where, why, and what to do."""


class Scope(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whose calls are hit: those that agree with every part that is not empty."""

    tenant_id: str = ""
    application_id: str = ""
    provider: str = ""
    model: str = ""
    user_id: str = ""

    def has_application(self, application: Application) -> bool:
        """Return whether calls of an application can be hit."""
        return self.tenant_id in ("", application.tenant_id) and self.application_id in ("", application.application_id)

    def has_model(self, model: Model) -> bool:
        """Return whether calls of a model can be hit."""
        return self.provider in ("", model.provider) and self.model in ("", model.name)


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One planted fault; it holds for calls that end in [after, after + lasts), from the start of the replay."""

    kind: FaultKind
    scope: Scope = Scope()
    after: Duration
    lasts: Duration = "0s"
    """Not used by `absurd`, which hits the first successful call at or after `after`."""
    magnitude: Annotated[float, Meta(ge=0)] | None = None
    """None means DEFAULT_MAGNITUDE of the kind."""
    severity: Severity | None = None
    """What a detector should say; None means EXPECTED_SEVERITY of the kind."""

    @property
    def size(self) -> float:
        """The magnitude that holds."""
        return DEFAULT_MAGNITUDE[self.kind] if self.magnitude is None else self.magnitude

    @property
    def after_ms(self) -> int:
        """Start, in ms from the start of the replay."""
        return duration_ms(self.after)

    @property
    def until_ms(self) -> int:
        """End, in ms from the start of the replay."""
        return self.after_ms + duration_ms(self.lasts)


class FaultPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The faults of one replay; faults that overlap work together."""

    faults: tuple[Fault, ...] = ()


_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: str) -> int:
    """Return the milliseconds of a text of digits and a unit (`90s`, `30m`). Raises ValueError for another text."""
    matched = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", text)
    if matched is None:
        raise ValueError(f"`{text}` is not a duration: write digits and one of ms, s, m, h, d, such as 90s or 30m.")
    return int(matched[1]) * _UNIT_MS[matched[2]]


def read_plan(path: Path, world: World) -> FaultPlan:
    """Return the plan of a YAML or JSON file, checked against the world. Raises FaultError with a sentence."""
    try:
        text = path.read_bytes()
        # YAML is a superset of JSON, but its reader is a hundred times slower and places errors less well.
        if path.suffix == ".json":
            plan = msgspec.json.decode(text, type=FaultPlan)
        else:
            plan = msgspec.yaml.decode(text, type=FaultPlan)
    except OSError as error:
        raise FaultError(f"The fault plan {path} cannot be read: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise FaultError(f"The fault plan {path} is wrong: {' '.join(str(error).split())}.") from None
    try:
        check_plan(plan, world)
    except FaultError as error:
        raise FaultError(f"The fault plan {path} is wrong: {error}") from None
    return plan


def check_plan(plan: FaultPlan, world: World) -> None:
    """Raise FaultError for the first fault that cannot happen in a world."""
    for number, fault in enumerate(plan.faults, start=1):
        problem = _problem(fault, world)
        if problem:
            raise FaultError(f"fault {number} ({fault.kind}) {problem}.")


def _problem(fault: Fault, world: World) -> str | None:
    scope = fault.scope
    missing = [part for part in _REQUIRED_SCOPE.get(fault.kind, ()) if not getattr(scope, part)]
    if missing:
        return f"needs {missing[0]} in its scope"
    if fault.kind in _SHARES and fault.size > 1:
        return f"has the magnitude {fault.size:g}, but it is a share and at most 1"
    if fault.kind is not FaultKind.ABSURD and fault.until_ms == fault.after_ms:
        return "lasts no time: set `lasts`, such as 3m"
    return _unknown(scope, world)


def _unknown(scope: Scope, world: World) -> str | None:
    applications = [a for a in world.applications if scope.has_application(a)]
    if not applications:
        known = ", ".join(f"{a.tenant_id}/{a.application_id}" for a in world.applications[:5])
        return f"names an application that is not in this world (which has {known}, ...)"
    models = {i for a in applications for i in a.models}
    if not any(scope.has_model(world.models[i]) for i in models):
        known = ", ".join(sorted(f"{world.models[i].provider} {world.models[i].name}" for i in models)[:5])
        return f"names a provider or model that these applications do not call (they call {known})"
    if scope.user_id and not any(user_rank(a, scope.user_id) is not None for a in applications):
        return f"names a user that does not exist (there are {applications[0].user_id(0)}, ...)"
    return None


def user_rank(application: Application, user_id: str) -> int | None:
    """Return the rank of a user of an application, or None if the application has no such user."""
    rank = user_id.rpartition("-")[2]
    if rank.isdecimal() and int(rank) < application.users and application.user_id(int(rank)) == user_id:
        return int(rank)
    return None
