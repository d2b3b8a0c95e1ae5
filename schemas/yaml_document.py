"""YAML as configurations are written in it: `on`, `off`, `yes` and `no` are words, as in YAML 1.2, not truth values."""

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, in which the key `on` of a detector would be the key `true`."""


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def read_yaml(document: bytes | str) -> Any:
    """Return what a YAML document holds; raises ValueError with line and problem if it is none."""
    try:
        return yaml.load(document, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
