"""Control: the rules and models in force, as they are changed while the job runs."""

from collections.abc import Mapping

from schemas.dead_letter import DeadLetter


class Control:
    """Rules and models by their Kafka key; the shards of a subtask share one."""

    def __init__(self, snapshot: Mapping[str, str]) -> None:
        """Begin with what held when the job was built."""
        self.texts: dict[str, str] = {}
        self.version = 0
        for key, text in snapshot.items():
            self.apply(key, text)

    def apply(self, key: str, text: str) -> list[DeadLetter]:
        """Take a change; an empty text removes. Returns why it was refused, if it was."""
        if text:
            self.texts[key] = text
        else:
            self.texts.pop(key, None)
        self.version += 1
        return []
