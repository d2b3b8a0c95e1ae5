"""The loss ledger as people and Prometheus read it."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.ingestion.buffer import Buffer
from jobs.ingestion.memory import RequestMemory
from udfs.ingestion.account import Account


def ledger_document(accounts: Mapping[str, Account], tenant: str | None) -> dict[str, Any]:
    """Return the account of a tenant, or of every tenant and all together for None."""
    if tenant is not None:
        return _document(accounts.get(tenant, Account()))
    total = sum(accounts.values(), Account())
    return {"total": _document(total), "tenants": {name: _document(each) for name, each in accounts.items()}}


def _document(account: Account) -> dict[str, Any]:
    return {
        "received": account.received,
        "delivered": account.delivered,
        "buffered": account.buffered,
        "rejected": dict(account.rejected),
        "dropped": dict(account.dropped),
        "unaccounted": account.unaccounted,
    }


class LedgerCollector(Collector):
    """The ledger in sum over tenants, and what is held at the moment, read when somebody asks."""

    def __init__(self, buffer: Buffer, memory: RequestMemory) -> None:
        self._buffer = buffer
        self._memory = memory

    def collect(self) -> Iterable[Metric]:
        """Return them as they are now."""
        total = sum(self._buffer.accounts().values(), Account())
        events = CounterMetricFamily(
            "sentinel_ingestion_ledger_events",
            "Events by what became of them: received = delivered + buffered + rejected + dropped.",
            labels=("state", "reason"),
        )
        events.add_metric(("received", ""), total.received)
        events.add_metric(("delivered", ""), total.delivered)
        for reason, count in total.rejected.items():
            events.add_metric(("rejected", reason.value), count)
        for drop, count in total.dropped.items():
            events.add_metric(("dropped", drop.value), count)
        yield events
        state = self._buffer.state()
        for name, text, value in (
            ("buffer_disk_bytes", "Bytes of the buffer's log on the disk.", float(state.disk_bytes)),
            ("buffer_disk_failing", "1 if the last write to the disk failed.", float(bool(state.disk_problem))),
            (
                "buffer_damaged_bytes",
                "Bytes in quarantine since the start: no whole record.",
                float(state.damaged_bytes),
            ),
            ("buffer_torn_bytes", "Bytes of unfinished writes that a crash left.", float(state.torn_bytes)),
            ("buffered_events", "Events that wait in the buffer.", float(total.buffered)),
            ("buffer_memory_bytes", "Bytes of events in memory.", float(state.memory_bytes)),
            ("oldest_event_seconds", "How long the oldest event has waited.", state.oldest_age_s),
            ("request_bytes", "Bytes of requests that are held.", float(self._memory.used)),
            ("request_bytes_peak", "The most that they ever were.", float(self._memory.peak)),
        ):
            yield GaugeMetricFamily(f"sentinel_ingestion_{name}", text, value=value)
