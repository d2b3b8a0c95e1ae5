"""Control in a backtest: rules and models of files, in force from the first event on that they say."""

from collections.abc import Iterable, Sequence

from jobs.errors import SentinelError
from schemas.codec import encode
from schemas.config_record import rule_key
from schemas.model import PublishedModel, model_key
from schemas.rule import Rule
from udfs.control import Control
from udfs.detector import Detector


def in_force(
    rules: Iterable[Rule] = (), models: Iterable[PublishedModel] = (), detectors: Sequence[Detector] = ()
) -> Control:
    """Return what holds when these rules and models do and nothing else.

    Raises SentinelError if a model is for none of the detectors or does not fit its own.
    """
    snapshot = {rule_key(rule.rule_id).decode(): encode(rule).decode() for rule in rules}
    snapshot |= {model_key(model.detector_id).decode(): encode(model).decode() for model in models}
    control = Control(snapshot, detectors)
    for refused in control.refused:
        raise SentinelError(refused.detail)
    return control
