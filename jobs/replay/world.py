"""The world that is replayed: tenants, their applications, the models these call, and how many users they have."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct

from jobs.replay.arrivals import F64, Workload
from jobs.replay.latency import LatencyProfile, latency_profiles
from jobs.replay.prices import Price, price_table
from jobs.replay.readers import TRACES, read_azure, read_mooncake, read_servegen


class Model(Struct, frozen=True, eq=False, kw_only=True):
    """One model at one provider."""

    provider: str
    name: str
    latency: LatencyProfile
    price: Price
    error_rate: float
    """Share of calls that fail when all is well, in [0, 1]."""


class Application(Struct, frozen=True, eq=False, kw_only=True):
    """One application of one tenant, with its traffic."""

    tenant_id: str
    application_id: str
    workload: Workload
    rate_per_s: float
    """Mean calls a second over the whole of its workload; bursts and the course of the day come on top."""
    models: tuple[int, ...]
    """Positions in `World.models`, the main model first."""
    shares: tuple[float, ...]
    """Share of the calls for each of `models`, summing to 1."""
    users: int

    def user_id(self, rank: int) -> str:
        """Return the id of the user of a rank; rank 0 is the busiest."""
        return f"user-{rank:04d}"


class World(Struct, frozen=True, eq=False, kw_only=True):
    """Everything that exists in a replay; together with a seed, a fault plan and a span it fixes every event."""

    models: tuple[Model, ...]
    applications: tuple[Application, ...]
    user_exponent: float = 1.0
    """Zipf: the user of rank r (from 0) makes calls in proportion to (r + 1) ** -user_exponent."""
    daily_swing: float = 0.0
    """In [0, 1): the rate is multiplied by 1 + daily_swing * sin(2 pi * time of day), lowest at 18:00 UTC."""

    @property
    def rate_per_s(self) -> float:
        """Mean calls a second of all applications."""
        return sum(application.rate_per_s for application in self.applications)

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that models of this world are called at, sorted."""
        called = {self.models[i].provider for application in self.applications for i in application.models}
        return tuple(sorted(called))

    def user_shares(self, application: Application) -> F64:
        """Return each user's share of the calls of an application, by rank."""
        return _zipf(application.users, self.user_exponent)


@lru_cache(maxsize=64)
def _zipf(users: int, exponent: float) -> F64:
    weights = np.arange(1, users + 1, dtype=np.float64) ** -exponent
    shares: F64 = weights / weights.sum()
    shares.flags.writeable = False
    return shares


# Provider and model as on the wire, entry of the price table, measured endpoint whose latency is borrowed, base error
# rate. The endpoints of 2023 stand in for models of a similar weight class; the last one was measured under load.
_MODELS = (
    ("openai", "gpt-4o", "openai/gpt-4o", "together/llama2-70b", 0.006),
    ("anthropic", "claude-sonnet-4-0", "anthropic/claude-sonnet-4-0", "fireworks/llama2-13b", 0.005),
    (
        "aws.bedrock",
        "anthropic.claude-3-haiku-20240307-v1:0",
        "aws/regional.anthropic.claude-3-haiku-20240307-v1:0",
        "bedrock/llama2-13b",
        0.007,
    ),
    (
        "together_ai",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "together/meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "together/llama2-70b",
        0.008,
    ),
    ("openai", "gpt-4o-mini", "openai/gpt-4o-mini", "anyscale/llama2-7b", 0.005),
    ("anthropic", "claude-haiku-4-5", "anthropic/claude-haiku-4-5", "fireworks/llama2-7b", 0.005),
    (
        "aws.bedrock",
        "mistral.mistral-large-3-675b-instruct",
        "aws/mistral.mistral-large-3-675b-instruct",
        "lepton/llama2-13b",
        0.008,
    ),
    (
        "together_ai",
        "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
        "together/meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
        "replicate/llama2-7b",
        0.010,
    ),
)

_TENANTS = ("acme", "globex", "initech")

# Application and the packaged trace that drives it, busiest first.
_APPLICATIONS = (
    ("support-chat", "azure-conv"),
    ("document-questions", "mooncake"),
    ("ticket-triage", "servegen-language-m-small/36"),
    ("sales-assistant", "azure-conv"),
    ("code-completion", "azure-code"),
    ("product-search", "servegen-language-m-small/18"),
    ("contract-review", "mooncake"),
    ("mail-drafts", "servegen-language-m-small/39"),
    ("meeting-notes", "azure-conv"),
    ("research-agent", "servegen-reason-deepseek-r1/15"),
    ("translation", "servegen-language-m-small/26"),
    ("code-review", "azure-code"),
    ("knowledge-base", "mooncake"),
    ("shop-assistant", "azure-conv"),
    ("planning-agent", "servegen-reason-deepseek-r1/18"),
    ("content-filter", "servegen-language-m-small/41"),
    ("report-writer", "servegen-reason-deepseek-r1/19"),
    ("travel-desk", "azure-conv"),
    ("data-analyst", "servegen-reason-deepseek-r1/66"),
    ("onboarding-guide", "azure-conv"),
)

_VOLUME_EXPONENT = 0.7
"""The application of rank r has (r + 1) ** -0.7 of the busiest one's rate: 1 to 8 over 20 applications."""

_MAIN_SHARE = 0.7


def default_world(
    *,
    tenants: int = 3,
    applications: int = 20,
    models: int = 8,
    users: int = 200,
    models_per_application: int = 2,
    rate_per_s: float = 40.0,
    daily_swing: float = 0.0,
    workloads: Sequence[Workload] = (),
) -> World:
    """Return a world of the given size; `applications` are dealt over the tenants, `users` are per application.

    `workloads` replace the packaged traces, dealt over the applications. Nothing is random. There are `applications *
    min(models_per_application, models)` entities of type model. Raises ValueError for a size below 1.
    """
    sizes = {"tenants": tenants, "applications": applications, "models": models, "users": users}
    for what, size in {**sizes, "models_per_application": models_per_application}.items():
        if size < 1:
            raise ValueError(f"A world needs at least one of each, but {what} is {size}.")
    if not rate_per_s > 0 or not 0 <= daily_swing < 1:
        raise ValueError(f"rate_per_s ({rate_per_s}) must be above 0 and daily_swing ({daily_swing}) in [0, 1).")
    packaged = {} if workloads else packaged_workloads()
    weights = np.arange(1, applications + 1, dtype=np.float64) ** -_VOLUME_EXPONENT
    rates = rate_per_s * weights / weights.sum()
    used = min(models_per_application, models)
    shares = _model_shares(used)
    built = []
    for i in range(applications):
        name, trace = _APPLICATIONS[i % len(_APPLICATIONS)]
        repeat = i // len(_APPLICATIONS)
        tenant = i % tenants
        built.append(
            Application(
                tenant_id=_TENANTS[tenant] if tenant < len(_TENANTS) else f"tenant-{tenant + 1:04d}",
                application_id=name if repeat == 0 else f"{name}-{repeat + 1:04d}",
                workload=workloads[i % len(workloads)] if workloads else packaged[trace],
                rate_per_s=float(rates[i]),
                models=tuple(_dealt(i, models, used)),
                shares=shares,
                users=users,
            )
        )
    return World(models=_models(models), applications=tuple(built), daily_swing=daily_swing)


def packaged_workloads() -> dict[str, Workload]:
    """Return the packaged traces by name; a client of servegen is `FILE/CLIENT`."""
    found: list[Workload] = [read_azure(TRACES / f"azure-{service}.csv.gz") for service in ("conv", "code")]
    found.append(read_mooncake(TRACES / "mooncake.jsonl.gz"))
    for pool in ("language-m-small", "reason-deepseek-r1"):
        found.extend(read_servegen(TRACES / f"servegen-{pool}.csv.gz"))
    return {workload.name: workload for workload in found}


def _models(count: int) -> tuple[Model, ...]:
    profiles, prices = latency_profiles(), price_table()
    built = []
    for i in range(count):
        provider, name, price, endpoint, error_rate = _MODELS[i % len(_MODELS)]
        turn = i // len(_MODELS)
        built.append(
            Model(
                provider=provider,
                name=name if turn == 0 else f"{name}-r{turn + 1}",
                latency=profiles[endpoint],
                price=prices[price],
                error_rate=error_rate,
            )
        )
    return tuple(built)


def _dealt(application: int, models: int, used: int) -> list[int]:
    # The main model goes round; the further ones start elsewhere in every round, so that pairs vary.
    step = 1 + application // models
    main = application % models
    others = [(main + step + k) % models for k in range(models)]
    return [main, *[other for other in others if other != main][: used - 1]]


def _model_shares(used: int) -> tuple[float, ...]:
    if used == 1:
        return (1.0,)
    return (_MAIN_SHARE, *[(1.0 - _MAIN_SHARE) / (used - 1)] * (used - 1))
