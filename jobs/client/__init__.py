"""In-process clients: report the model calls of a Python program without slowing it down or breaking it.

    from jobs.client import watch

    client = watch(OpenAI())

What is seen of a call is put into a bounded queue, which takes microseconds; a thread sends it to the sidecar. When the
queue is full, calls are left out and counted, and the count is reported. Nothing here raises into the program.
"""

from jobs.client.handover import Counts, Handover, default_handover
from jobs.client.watching import watch

__all__ = ["Counts", "Handover", "default_handover", "watch"]
