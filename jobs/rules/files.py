"""Files of rules: YAML or JSON, one rule or a list of them."""

from pathlib import Path

import msgspec

from jobs.errors import SentinelError
from schemas.rule import Rule
from schemas.yaml_document import read_yaml
from udfs.rules.checks import check


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Return the rules of a file. Raises SentinelError that says which rule and field is wrong, and why."""
    try:
        document = read_yaml(path.read_bytes())
    except OSError as error:
        problem = f"cannot read {path}: {error.strerror}"
        raise SentinelError(problem) from None
    except ValueError as error:
        problem = f"{path} is {error}"
        raise SentinelError(problem) from None
    listed = document if isinstance(document, list) else [document]
    rules = tuple(_read(path, number, each) for number, each in enumerate(listed))
    identifiers = [each.rule_id for each in rules]
    repeated = sorted({each for each in identifiers if identifiers.count(each) > 1})
    if repeated:
        problem = f"{path}: two rules have the rule_id {repeated[0]!r}"
        raise SentinelError(problem)
    return rules


def _read(path: Path, number: int, raw: object) -> Rule:
    name = raw.get("rule_id", number) if isinstance(raw, dict) else number
    try:
        rule = msgspec.convert(raw, Rule)
        check(rule)
    except ValueError as error:
        problem = f"{path}: rule {name}: {error}"
        raise SentinelError(problem) from None
    return rule
