"""Streams: what cumulative counters stood at, so that events say what was counted since."""


class Streams:
    """Cumulative streams of one tenant. One value for each tenant, kept by the caller; bounded."""
