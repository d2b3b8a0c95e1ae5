"""Files: the written truth about a replay, read back."""

from pathlib import Path

import msgspec

from jobs.errors import SentinelError
from jobs.replay.truth import PlantedFault


def read_truth(path: Path) -> tuple[PlantedFault, ...]:
    """Return the faults in a truth file of `sentinel replay`. Raises SentinelError naming file, line and problem."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SentinelError(f"The truth file {path} cannot be read: {error.strerror}.") from None
    decoder = msgspec.json.Decoder(PlantedFault)
    faults = []
    for number, line in enumerate(lines, start=1):
        try:
            faults.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise SentinelError(
                f"The truth file {path}, line {number}, is not what `sentinel replay --truth` writes: {error}."
            ) from None
    return tuple(faults)
