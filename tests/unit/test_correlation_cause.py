"""Cause: the entity upstream of most of the evidence, and the earliest, is named first."""

from tests.script import World, anomaly
from udfs.correlation.cause import Party, ranked_causes
from udfs.correlation.witness import Concern, Place


def party(application: str, provider: str = "openai", model: str = "m", user: str = "", **more: float) -> Party:
    kind = "user" if user else "model" if application else "tenant_provider"
    place = Place(kind, f"{kind}/{provider}/{model}/{application}/{user}", "", application, provider, model, user)
    return Party(place, more.get("mass", 1.0), int(more.get("onset_ms", 0)), 1)


def first(parties: list[Party], concern: Concern = Concern.SERVICE) -> str:
    return ranked_causes(parties, concern)[0].scope


def test_provider_is_named_when_several_of_its_models_suffer() -> None:
    assert first([party("a", model="m1"), party("b", model="m2"), party("c", model="m1")]) == "provider:openai"


def test_model_is_named_when_it_is_the_only_one_that_suffers() -> None:
    assert first([party("a"), party("b"), party("c")]) == "model:openai/m"


def test_summary_over_all_applications_speaks_for_the_provider() -> None:
    assert first([party("a"), party("", model="", mass=2.0)]) == "provider:openai"


def test_application_is_named_when_it_suffers_with_every_provider() -> None:
    parties = [party("a", provider=name) for name in ("openai", "anthropic", "google")]
    assert first(parties) == "application:a"


def test_user_is_named_for_the_load_of_its_application() -> None:
    parties = [party("a", mass=3.0), party("a", provider="", model="", user="mallory")]
    assert first(parties, Concern.LOAD) == "user:a/mallory"
    assert first(parties, Concern.SERVICE) != "user:a/mallory"


def test_earliest_onset_decides_between_equals() -> None:
    parties = [
        party("a", provider="", model="", user="u1", onset_ms=90_000),
        party("a", provider="", model="", user="u2", onset_ms=0),
    ]
    users = [cause.scope for cause in ranked_causes(parties, Concern.LOAD) if cause.kind == "user"]
    assert users == ["user:a/u2", "user:a/u1"]


def test_unknown_provider_is_no_cause() -> None:
    parties = [party(name, provider="unknown", model="unknown") for name in ("a", "b")]
    assert {cause.scope for cause in ranked_causes(parties, Concern.SERVICE)} == {"application:a", "application:b"}


def test_no_evidence_has_no_cause() -> None:
    assert ranked_causes([], Concern.SERVICE) == ()


def test_incident_tells_cause_contributors_and_evidence() -> None:
    world = World()
    for number in range(4):
        world.send(anomaly(number * 1_000, f"app{number}", "error_rate", "critical", model=f"m{number % 2}"))
    incident = next(each for each in world.incidents().values() if each.scope == "provider:openai")
    assert incident.title == "Provider openai: unusual errors in 4 applications"
    assert incident.probable_cause == (
        "provider openai: errors unusual since 2027-01-15T07:59:55.000Z, 100% of the evidence over 4 applications"
    )
    assert incident.description == (
        "4 anomalies of 4 entities since 2027-01-15T08:00:00.000Z. Strongest evidence: error_rate, found by robust-z."
    )
    assert next(iter(incident.causes)) == "provider:openai"
    assert sum(incident.causes.values()) == 1.0 or abs(sum(incident.causes.values()) - 1.0) < 1e-3
    # Four equal witnesses share the evidence equally.
    assert set(incident.contributors.values()) == {0.25}
    assert incident.metrics == ("error_rate",)
    assert incident.detectors == ("robust-z",)
