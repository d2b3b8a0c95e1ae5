"""What each tenant may send a second."""

import time
from collections.abc import Callable, Mapping
from threading import Lock

from udfs.ingestion.rate import UNLIMITED, Admission, Limits, RateState


class TenantLimits:
    """Rate limits of all tenants; their state is in memory and begins with full buckets."""

    def __init__(
        self, tenants: Mapping[str, Limits], default: Limits = UNLIMITED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Limit each tenant as `tenants` says, the others each by `default`."""
        self._tenants = tenants
        self._default = default
        self._clock = clock
        self._states: dict[str, RateState] = {}
        self._lock = Lock()

    def admit(self, tenant: str, *, events: int, bytes_: int, tokens: int = 0) -> Admission:
        """Take the costs of a request from the tenant's limits, or say when to come again.

        `tenant` comes from a credential, so that there are not more of them than were configured.
        """
        with self._lock:
            now_s = self._clock()
            state = self._states.get(tenant)
            if state is None:
                state = self._states[tenant] = RateState(self._tenants.get(tenant, self._default), now_s)
            return state.admit(now_s, events=events, bytes_=bytes_, tokens=tokens)
