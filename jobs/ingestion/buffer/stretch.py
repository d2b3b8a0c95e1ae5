"""What is on the disk alone."""

from jobs.ingestion.buffer.segment import Part


class Stretch:
    """Events that follow one another in one part and are nowhere else."""

    __slots__ = ("after", "events", "last", "part", "since_s", "size")

    def __init__(self, part: Part, after: int, since_s: float) -> None:
        self.part = part
        self.after = after
        """Their numbers are higher than this."""
        self.last = after
        self.events = 0
        self.size = 0
        self.since_s = since_s
