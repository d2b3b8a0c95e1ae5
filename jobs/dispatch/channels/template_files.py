"""The templates of a configuration: its files, and the texts of its channels that call them."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from jobs.dispatch.configuration import Configuration
from jobs.dispatch.text_file import read_text
from jobs.errors import SentinelError
from udfs.alerting.receivers.secret import Secret
from udfs.alerting.receivers.text import TEMPLATE_MARK
from udfs.templates.problem import TemplateError
from udfs.templates.template_set import TemplateSet

_NO_TEMPLATES: Final = frozenset({"http_config", "tls_config", "command"})


def template_set(configuration: Configuration) -> TemplateSet:
    """Return all templates; raises SentinelError for the first file that cannot be read or parsed."""
    sources = [(file.name, read_text(file)) for file in configuration.template_files()]
    try:
        return TemplateSet(sources)
    except TemplateError as error:
        raise SentinelError(f"{error}.") from None


def template_mistakes(configuration: Configuration, templates: TemplateSet) -> tuple[str, ...]:
    """Return a sentence for each text of a channel that no notification could be told with."""
    found = []
    for receiver in configuration.receivers.values():
        for channel in receiver.channels:
            for place, text in _texts(channel.config, ""):
                try:
                    templates.check(text)
                except TemplateError as error:
                    found.append(f"receiver {receiver.name}, {channel.key}{place}: {error}")
    return tuple(found)


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield the templates within a part of a channel's configuration, each with its place."""
    text = value.reveal_text() if isinstance(value, Secret) and value.origin == "text" else value
    if isinstance(text, str) and TEMPLATE_MARK in text:
        yield place, text
    for name, each in _parts(value):
        yield from _texts(each, f"{place}{name}")


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Struct):
        names = [name for name in value.__struct_fields__ if name not in _NO_TEMPLATES]
        yield from ((f".{name.rstrip('_')}", getattr(value, name)) for name in names)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from ((f".{key}", key), (f".{key}", each))
    elif isinstance(value, list | tuple):
        yield from ((f"[{number}]", each) for number, each in enumerate(value))
