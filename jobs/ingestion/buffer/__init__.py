"""What the servers and the delivery need of the buffer."""

from jobs.ingestion.buffer.buffer import Buffer
from jobs.ingestion.buffer.event import Keyed, Refusal, Unconfirmed, Waiting
from jobs.ingestion.buffer.settings import Ack, BufferSettings, TenantRoom
from jobs.ingestion.buffer.state import State

__all__ = ["Ack", "Buffer", "BufferSettings", "Keyed", "Refusal", "State", "TenantRoom", "Unconfirmed", "Waiting"]
