"""Control: the rules and models in force, as they are changed while the job runs."""

from base64 import b64encode
from collections.abc import Mapping, Sequence

from schemas.codec import decode_record
from schemas.config_record import RULE_PREFIX, decode_rule_record
from schemas.dead_letter import DeadLetter, RejectReason
from schemas.model import PublishedModel, model_key
from schemas.refusal import DecodeError
from schemas.rule import Match, Rule
from udfs.detector import Detector
from udfs.rules.checks import check

VERSIONS_MAX = 4
"""Versions of a rule or model that are kept: records from before the newest came into force are judged by theirs."""
MODEL_PREFIX = "model/"
RULES_TOPIC = "sentinel.config"


class Control:
    """Rules and models; the shards of a subtask share one."""

    def __init__(self, snapshot: Mapping[str, str], detectors: Sequence[Detector] = ()) -> None:
        """Begin with what held when the job was built, by Kafka key, for the detectors that models are for."""
        self.rules: dict[str, tuple[Rule, ...]] = {}
        """By id, in the order of `effective_at_ms`."""
        self.models: dict[str, tuple[PublishedModel, ...]] = {}
        """The same, by detector."""
        self.version = 0
        self._detectors = {each.detector_id: each for each in detectors}
        self.refused = [letter for key, text in snapshot.items() for letter in self.apply(key, text)]
        """What of the snapshot is neither rule nor model."""

    def apply(self, key: str, text: str, offset: int = 0) -> list[DeadLetter]:
        """Take a change; an empty text removes. Returns why it was refused, if it was: what held then goes on."""
        try:
            if key.startswith(RULE_PREFIX):
                self._apply_rule(key, text)
            elif key.startswith(MODEL_PREFIX):
                self._apply_model(key, text)
            else:
                return []
        except DecodeError as error:
            return [_refusal(key, text, offset, error.reason, error.detail)]
        except ValueError as error:
            return [_refusal(key, text, offset, RejectReason.OUT_OF_RANGE, str(error))]
        self.version += 1
        return []

    def _apply_rule(self, key: str, text: str) -> None:
        record = decode_rule_record(key.encode(), text.encode() if text else None)
        if record is None or record.rule is None:
            self.rules.pop(key.removeprefix(RULE_PREFIX), None)
            return
        check(record.rule)
        earlier = self.rules.get(record.rule_id, ())
        kept = [each for each in earlier if each.effective_at_ms < record.rule.effective_at_ms]
        self.rules[record.rule_id] = (*kept, record.rule)[-VERSIONS_MAX:]

    def _apply_model(self, key: str, text: str) -> None:
        detector_id = key.removeprefix(MODEL_PREFIX)
        if not text:
            self.models.pop(detector_id, None)
            return
        model = decode_record(text.encode(), PublishedModel)
        if model_key(model.detector_id).decode() != key:
            raise ValueError("detector_id: differs from the key of the record")
        detector = self._detectors.get(detector_id)
        if detector is None:
            raise ValueError(f"detector_id: no detector {detector_id!r} is configured")
        if model.scope.entity.value != detector.entity:
            raise ValueError(f"scope.entity: detector {detector_id!r} watches {detector.entity}")
        if model.scope.match != Match():
            raise ValueError("scope.match: a model holds for every entity of its detector; leave it empty")
        detector.model_parameters(model)
        earlier = self.models.get(detector_id, ())
        kept = [each for each in earlier if each.effective_at_ms < model.effective_at_ms]
        self.models[detector_id] = (*kept, model)[-VERSIONS_MAX:]


def _refusal(key: str, text: str, offset: int, reason: RejectReason, detail: str) -> DeadLetter:
    topic = "sentinel.models" if key.startswith(MODEL_PREFIX) else RULES_TOPIC
    return DeadLetter(
        dead_letter_id=f"{topic}-0-{offset}",
        reason=reason,
        detail=f"{key}: {detail}",
        topic=topic,
        partition=0,
        offset=offset,
        payload_base64=b64encode(text.encode()).decode(),
        key_base64=b64encode(key.encode()).decode(),
    )
