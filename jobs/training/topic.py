"""The topic of models: what is in force, and changes of it."""

import msgspec

from jobs.detection.control import read_topic
from jobs.errors import SentinelError
from jobs.records import write_records
from jobs.topics import MODELS
from schemas.codec import encode
from schemas.model import PublishedModel, model_key


def listed(bootstrap_servers: str) -> dict[str, PublishedModel]:
    """Return the models of the topic by detector. Raises SentinelError if Kafka cannot be read or holds no model."""
    texts: dict[str, str] = {}
    read_topic(bootstrap_servers, MODELS.name, texts)
    try:
        models = [msgspec.json.decode(text, type=PublishedModel) for text in texts.values() if text]
    except msgspec.MsgspecError as error:
        problem = f"{MODELS.name} holds a record that is no model ({error}); publish it anew, or remove it"
        raise SentinelError(problem) from None
    return {model.detector_id: model for model in sorted(models, key=lambda model: model.detector_id)}


def publish(bootstrap_servers: str, model: PublishedModel) -> None:
    """Put a model into force. Raises SentinelError unless Kafka has taken it."""
    write_records(bootstrap_servers, MODELS.name, {model_key(model.detector_id): encode(model)})


def remove(bootstrap_servers: str, detector_id: str) -> None:
    """Take the model of a detector out of force: the detector falls silent. Raises SentinelError if Kafka refuses."""
    write_records(bootstrap_servers, MODELS.name, {model_key(detector_id): None})
