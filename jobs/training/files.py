"""Files of models: one model each, JSON as in the topic."""

from pathlib import Path

from jobs.errors import SentinelError
from schemas.codec import decode_record, encode
from schemas.model import PublishedModel
from schemas.refusal import DecodeError


def read_model(path: Path) -> PublishedModel:
    """Return the model of a file; raises SentinelError naming file and problem."""
    try:
        return decode_record(path.read_bytes(), PublishedModel)
    except OSError as error:
        problem = f"cannot read {path}: {error.strerror}"
        raise SentinelError(problem) from None
    except DecodeError as error:
        problem = f"{path} is not a model: {error.detail}; `sentinel train --out` writes one"
        raise SentinelError(problem) from None


def write_model(path: Path, model: PublishedModel) -> None:
    """Write a model to a file; raises SentinelError if that is not possible."""
    try:
        path.write_bytes(encode(model) + b"\n")
    except OSError as error:
        problem = f"cannot write to {path}: {error.strerror}"
        raise SentinelError(problem) from None
