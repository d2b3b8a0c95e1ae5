"""Memory: what earlier messages have left behind that the next one has to know."""

from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct, msgpack
from msgspec.structs import replace

from udfs.alerting.notification import Notification
from udfs.alerting.records import Record

MEMORY: Final = "memory"
"""Kind of the records, by group, receiver and channel."""

Place = tuple[str, str, str]
"""Group, receiver, channel."""


class Earlier(Struct, frozen=True, array_like=True):
    """What is known before a try."""

    reference: str = ""
    """What the receiver calls its last message about the group; empty if there is none to change or to add to."""
    notification_id: str = ""
    reached: frozenset[str] = frozenset()
    """Recipients who have the notification of that identifier, while it is still to be tried for others."""


NOTHING: Final = Earlier()


class Memory:
    """What channels have to know of the groups that they tell of: one small record for each group and channel.

    Every change is a record, so that whoever goes on from the records changes the same message and mails nobody twice.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._by_place: dict[Place, Earlier] = {}
        self._changed: dict[Place, None] = {}
        for kind, key, value in records:
            if kind == MEMORY and value is not None:
                group_key, receiver, channel = key.rsplit("\x00", 2)
                self._by_place[group_key, receiver, channel] = _DECODER.decode(value)

    def earlier(self, notification: Notification) -> Earlier:
        """Return what the next try of a notification has to know."""
        known = self._by_place.get(_place_of(notification), NOTHING)
        if known.notification_id == notification.notification_id:
            return known
        # What is told now is something else: all recipients have to hear of it.
        return Earlier(reference=known.reference)

    def refer(self, notification: Notification, reference: str) -> None:
        """Take what the receiver calls the message that it took; an empty reference forgets the one before.

        What says that all is over is the last word about it: the next alert of the group is told of anew.
        """
        self._put(_place_of(notification), Earlier(reference=reference if notification.firing else ""))

    def reach(self, notification: Notification, reached: frozenset[str]) -> None:
        """Take recipients who have a notification after a try that failed for others."""
        if reached:
            known = self.earlier(notification)
            both = replace(known, notification_id=notification.notification_id, reached=known.reached | reached)
            self._put(_place_of(notification), both)

    def groups(self) -> set[str]:
        """Return the groups of which something is known."""
        return {place[0] for place in self._by_place}

    def forget(self, groups: Collection[str], under_way: Collection[str]) -> None:
        """Forget groups that are no more; of notifications under way, who has them is still needed."""
        for place in [each for each in self._by_place if each[0] in groups]:
            known = self._by_place[place]
            self._put(place, replace(known, reference="") if known.notification_id in under_way else NOTHING)

    def take_changes(self) -> list[Record]:
        """Return the records that have changed since the last call."""
        changed, self._changed = self._changed, {}
        return [Record(MEMORY, "\x00".join(place), self._value(place)) for place in changed]

    def _put(self, place: Place, known: Earlier) -> None:
        if known == self._by_place.get(place, NOTHING):
            return
        if known == NOTHING:
            del self._by_place[place]
        else:
            self._by_place[place] = known
        self._changed[place] = None

    def _value(self, place: Place) -> bytes | None:
        known = self._by_place.get(place)
        return None if known is None else msgpack.encode(known, order="deterministic")


_DECODER: Final = msgpack.Decoder(Earlier)


def _place_of(notification: Notification) -> Place:
    return notification.group_key, notification.receiver, notification.channel
