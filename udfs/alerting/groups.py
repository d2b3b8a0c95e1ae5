"""Groups: which there are, which alert is in which, and when each is looked at next."""

from heapq import heappop, heappush

from msgspec import msgpack

from udfs.alerting.alert import Alert
from udfs.alerting.group import Group, group_id
from udfs.alerting.label_text import labels_text
from udfs.alerting.records import Changed, GroupRecord
from udfs.alerting.route import Route, matching_routes, walk


class Groups:
    """The groups of one route tree; another tree needs them formed anew."""

    def __init__(self, tree: Route, changed: Changed) -> None:
        """Begin without groups; the records to be written are noted in `changed`."""
        self.by_id: dict[str, Group] = {}
        self.by_key: dict[str, list[Group]] = {}
        """Those of routes that are the same have the same key."""
        self.empty: dict[str, Group] = {}
        """Those without members, to be forgotten."""
        self._tree = tree
        self._routes = tuple(walk(tree))
        self._route_numbers = {id(route): number for number, route in enumerate(self._routes)}
        self._by_values: dict[tuple[int | str | None, ...], Group] = {}
        """Groups by route and the values of the labels that it groups by: alerts find theirs without naming it."""
        self._places: dict[str, tuple[Group, ...]] = {}
        self._agenda: list[tuple[int, str]] = []
        self._changed = changed

    def of(self, identity: str) -> tuple[Group, ...]:
        """Return the groups that an alert belongs to, those it has left included; none for an unknown one."""
        return self._places.get(identity, ())

    def of_chain(self, name: str) -> list[Group]:
        """Return the groups that a chain is about: one, or those of routes that are the same."""
        receiver, key = name.rsplit("\n", 1)
        return [group for group in self.by_key.get(key, ()) if group.route.receiver == receiver]

    def meant(self, identity: str, alert: Alert) -> tuple[Group, ...]:
        """Return the groups that the route tree sends an alert to, whether it is in them or not."""
        places = self._places.get(identity)
        if places is None:
            labels = alert.labels
            places = tuple([self._group(route, labels) for route in matching_routes(self._tree, labels)])
        elif not all(group.alive for group in places):
            places = tuple([self.by_id.get(group.group_id, group) for group in places])
        self._places[identity] = places
        return places

    def insert(self, group: Group, identity: str, alert: Alert, now_ms: int) -> None:
        """Make an alert a member of a group, which may begin with it."""
        if not group.alive:
            group.flushed = False
            self._add(group)
            self.look_next(group, now_ms + group.route.group_wait_ms)
        group.members.add(identity)
        if group.emptied_at_ms is not None:
            group.emptied_at_ms = None
            self.empty.pop(group.group_id, None)
            self._changed["group", group.group_id] = None
        if not group.flushed and alert.starts_at_ms + group.route.group_wait_ms < now_ms < group.next_at_ms:
            self.look_next(group, now_ms)

    def emptied(self, group: Group, now_ms: int) -> None:
        """Take note that the last member has left a group."""
        group.emptied_at_ms = now_ms
        self.empty[group.group_id] = group
        self._changed["group", group.group_id] = None

    def remove(self, group: Group) -> None:
        """Forget a group, whoever is in it."""
        group.alive = False
        group.members.clear()
        group.said.clear()
        group.settled = {}
        self.empty.pop(group.group_id, None)
        del self.by_id[group.group_id]
        self._by_values.pop(self._values(group.route, group.labels), None)
        same_key = self.by_key[group.key]
        same_key.remove(group)
        if not same_key:
            del self.by_key[group.key]
        self._changed["group", group.group_id] = None

    def forget(self, identity: str) -> None:
        """Forget where an alert belongs that is gone."""
        self._places.pop(identity, None)

    def look_next(self, group: Group, at_ms: int) -> None:
        """Have a group looked at next at an instant."""
        group.next_at_ms = at_ms
        heappush(self._agenda, (at_ms, group.group_id))
        self._changed["group", group.group_id] = None

    @property
    def next_at_ms(self) -> int | None:
        """When the next group is due, None if there is none."""
        while self._agenda:
            at_ms, identifier = self._agenda[0]
            group = self.by_id.get(identifier)
            if group is not None and group.next_at_ms == at_ms:
                return at_ms
            heappop(self._agenda)
        return None

    def due(self, now_ms: int, most: int | None = None) -> list[Group]:
        """Return the groups to look at now, by identifier, `most` of them at a time; each is told once."""
        found: dict[str, Group] = {}
        while (at_ms := self.next_at_ms) is not None and at_ms <= now_ms and len(found) != most:
            _, identifier = heappop(self._agenda)
            found[identifier] = self.by_id[identifier]
        return [found[identifier] for identifier in sorted(found)]

    def record(self, identifier: str) -> GroupRecord | None:
        """Return what has to outlive the process of a group, None if there is no such group."""
        group = self.by_id.get(identifier)
        if group is None:
            return None
        number = self._route_numbers[id(group.route)]
        state = group.next_at_ms, group.flushed, group.failed, group.emptied_at_ms, group.settled
        return GroupRecord(number, group.labels, *state)

    def restore(self, rows: list[tuple[str, bytes]], members: dict[str, tuple[str, ...]]) -> None:
        """Take groups as records of the same route tree have them, and the groups that each alert is a member of."""
        for key, value in rows:
            record = msgpack.decode(value, type=GroupRecord)
            group = Group(self._routes[record.route_number], record.route_number, record.labels)
            group.flushed, group.failed = record.flushed, record.failed
            group.settled, group.emptied_at_ms = record.settled, record.emptied_at_ms
            self._add(group)
            group.next_at_ms = record.next_at_ms
            heappush(self._agenda, (record.next_at_ms, key))
            if record.emptied_at_ms is not None:
                self.empty[key] = group
        for identity, identifiers in members.items():
            for identifier in identifiers:
                self.by_id[identifier].members.add(identity)

    def _group(self, route: Route, labels: dict[str, str]) -> Group:
        known = None if route.group_by_all else self._by_values.get(self._values(route, labels))
        if known is not None:
            return known
        number = self._route_numbers[id(route)]
        group_labels = route.group_labels(labels)
        known = self.by_id.get(group_id(number, f"{route.key}:{labels_text(group_labels)}"))
        return known or Group(route, number, group_labels)

    def _values(self, route: Route, labels: dict[str, str]) -> tuple[int | str | None, ...]:
        return id(route), *[labels.get(name) for name in route.group_by]

    def _add(self, group: Group) -> None:
        group.alive = True
        self.by_id[group.group_id] = group
        if not group.route.group_by_all:
            self._by_values[self._values(group.route, group.labels)] = group
        self.by_key.setdefault(group.key, []).append(group)
