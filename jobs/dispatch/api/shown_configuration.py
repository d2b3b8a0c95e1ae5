"""The configuration as it is shown: without its secrets, and in the keys that Alertmanager's own tools know."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml
from msgspec import inspect

from udfs.alerting.receivers.defaults import ReceiverDefaults
from udfs.alerting.receivers.receiver import KINDS
from udfs.alerting.receivers.secret import HIDDEN, Secret

_OWN_KEYS = frozenset({"allowed_networks", "signing_secrets", "body", "log_configs", "command_configs", "sentinel"})


def shown_configuration(original: str) -> str:
    """Return the text of a configuration with `<secret>` in place of every credential.

    What only this dispatch understands is left out, as `amtool` refuses a configuration with a key it does not know.
    """
    try:
        document = yaml.safe_load(original)
    except yaml.YAMLError:
        return ""
    return yaml.safe_dump(_without_secrets(document), sort_keys=False, allow_unicode=True)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _hidden(each) if key in _SECRET_KEYS and each else _without_secrets(each)
            for key, each in value.items()
            if key not in _OWN_KEYS
        }
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return value


def _hidden(value: Any) -> Any:
    """Return what stands for a credential; of an address the server is left, as its path is the secret."""
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    if isinstance(value, dict):
        # `{file: ...}` and `{env: ...}` say where it is, not what it is; headers have their values below.
        return value if value.keys() <= {"file", "env"} else {key: _hidden(each) for key, each in value.items()}
    parts = urlsplit(value) if isinstance(value, str) and value.startswith(("http://", "https://")) else None
    return (
        f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}/{HIDDEN}" if parts else HIDDEN
    )


def _secret_keys() -> frozenset[str]:
    """Return the names of all keys that hold a credential somewhere."""
    found: set[str] = set()
    seen: set[type] = set()

    def look(kind: inspect.Type, name: str) -> None:
        match kind:
            case inspect.CustomType(cls=cls) if cls is Secret:
                found.add(name)
            case inspect.UnionType(types=types):
                for each in types:
                    look(each, name)
            case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
                look(item, name)
            case inspect.DictType(value_type=value):
                look(value, name)
            case inspect.StructType(cls=cls, fields=fields) if cls not in seen:
                seen.add(cls)
                for field in fields:
                    look(field.type, field.encode_name)
            case _:
                pass

    for each in (ReceiverDefaults, *KINDS.values()):
        look(msgspec.inspect.type_info(each), "")
    return frozenset(found)


_SECRET_KEYS = _secret_keys()
