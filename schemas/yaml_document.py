"""YAML documents as their authors mean them: `on`, `off`, `yes` and `no` are texts, as in YAML 1.2."""

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML 1.1 but for its booleans, of which the key `on` would be one."""


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")


def decode_yaml(document: bytes | str) -> Any:
    """Return what a document of YAML, or JSON, holds. Raises ValueError that says where it is none."""
    try:
        return yaml.load(document, Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"neither YAML nor JSON: {' '.join(str(error).split())}") from None
