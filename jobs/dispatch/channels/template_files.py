"""The template files of a configuration."""

from jobs.dispatch.configuration import Configuration
from jobs.errors import SentinelError
from udfs.templates.problem import TemplateError
from udfs.templates.template_set import TemplateSet


def template_set(configuration: Configuration) -> TemplateSet:
    """Return all templates; raises SentinelError for the first file that cannot be read or parsed."""
    sources = []
    for file in configuration.template_files():
        try:
            sources.append((file.name, file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise SentinelError(f"{file} cannot be read: {reason}.") from None
    try:
        return TemplateSet(sources)
    except TemplateError as error:
        raise SentinelError(f"{error}.") from None
