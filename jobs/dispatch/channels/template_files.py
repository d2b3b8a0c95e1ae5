"""The template files of a configuration."""

from jobs.dispatch.configuration import Configuration
from jobs.dispatch.text_file import read_text
from jobs.errors import SentinelError
from udfs.templates.problem import TemplateError
from udfs.templates.template_set import TemplateSet


def template_set(configuration: Configuration) -> TemplateSet:
    """Return all templates; raises SentinelError for the first file that cannot be read or parsed."""
    sources = [(file.name, read_text(file)) for file in configuration.template_files()]
    try:
        return TemplateSet(sources)
    except TemplateError as error:
        raise SentinelError(f"{error}.") from None
