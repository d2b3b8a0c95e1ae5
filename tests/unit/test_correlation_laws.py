"""Laws of correlation as a whole, on stories of several tenants, users and providers."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.anomaly import SEVERITY_RANK, Anomaly
from schemas.incident import Incident, IncidentStatus
from tests.anomaly_stories import anomalies, watermarks
from tests.script import START_AT_MS, World
from udfs.correlation import Forward

TENANTS = ("acme", "globex")
KINDS = ("model", "model", "model", "user", "tenant_provider", "provider")
END_MS = START_AT_MS + 86_400_000
STORIES = st.lists(st.one_of(anomalies(tenants=TENANTS, kinds=KINDS), watermarks()), max_size=40)


def lived(story: list[Anomaly | int]) -> World:
    """Return the world after a story and all the time that its timers wait for."""
    world = World()
    for word in story:
        if isinstance(word, int):
            world.pass_time(word)
        else:
            world.send(word)
    world.pass_time(END_MS)
    return world


def states(world: World) -> dict[str, list[Incident]]:
    """Return all states of every incident, in order."""
    found: dict[str, list[Incident]] = {}
    for output in world.outputs:
        if isinstance(output, Incident):
            found.setdefault(output.incident_id, []).append(output)
    return found


@settings(max_examples=60, deadline=None)
@given(STORIES, st.data())
def test_every_anomaly_is_forwarded_once_unchanged_in_any_order(
    story: list[Anomaly | int], data: st.DataObject
) -> None:
    """Repeats come within the hour for which ids are remembered."""
    sent = [word for word in story if isinstance(word, Anomaly)]
    for order in (story, data.draw(st.permutations([*story, *story]))):
        forwarded = [each.anomaly for each in lived(order).outputs if isinstance(each, Forward)]
        assert Counter(each.anomaly_id for each in forwarded) == Counter({each.anomaly_id for each in sent})
        assert all(each in sent for each in forwarded)


@settings(max_examples=80, deadline=None)
@given(STORIES)
def test_every_incident_lives_one_life(story: list[Anomaly | int]) -> None:
    """Revisions count from 1 without a gap, it opens once and closes once, and its severity never falls."""
    for life in states(lived(story)).values():
        assert [each.revision for each in life] == list(range(1, len(life) + 1))
        closings = [each.status is IncidentStatus.CLOSED for each in life]
        assert closings == sorted(closings)
        assert closings[-1]
        assert not closings[0]
        ranks = [SEVERITY_RANK[each.severity] for each in life]
        assert ranks == sorted(ranks)
        assert ranks[0] > SEVERITY_RANK["info"]  # type: ignore[index]
        assert len({(each.tenant_id, each.scope) for each in life}) == 1
        assert all(each.opened_at <= each.updated_at <= each.expires_at for each in life)


@settings(max_examples=60, deadline=None)
@given(STORIES)
def test_evidence_is_of_the_tenant_and_counted_once(story: list[Anomaly | int]) -> None:
    world = lived(story)
    tenant_of = {each.anomaly_id: each.tenant_id for each in story if isinstance(each, Anomaly)}
    newest = world.incidents()
    for incident in newest.values():
        assert {tenant_of[each] for each in incident.anomaly_ids} == {incident.tenant_id}
        assert {each.tenant_id or None for each in incident.entities} == {incident.tenant_id}
        assert len(set(incident.anomaly_ids)) == len(incident.anomaly_ids) <= 50
        parent = newest.get(incident.parent_incident_id or "")
        assert parent is None or parent.tenant_id in {incident.tenant_id, None}
    # What was folded is counted by the incident that took its place, too.
    parents = {each.incident_id: newest.get(each.parent_incident_id or "") for each in newest.values()}
    counted: Counter[str | None] = Counter()
    for incident in newest.values():
        parent = parents[incident.incident_id]
        if parent is None or parent.tenant_id != incident.tenant_id:
            counted[incident.tenant_id] += incident.anomaly_count
    assert all(counted[tenant] <= count for tenant, count in Counter(tenant_of.values()).items())
