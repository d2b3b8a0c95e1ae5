"""The files under `schemas/published`: one JSON Schema per published record, and Avro where there is one.

Those of the configurations are made by `jobs.detection.settings` and `jobs.dispatch.native_sections`, which know the
processes.
"""

from typing import Final

from schemas.avro_schema import PUBLISHED_AVRO, avro_schema_file
from schemas.json_schema import PUBLISHED, json_schema, schema_text

EXAMPLES: Final = "examples"
"""Folder beside the files: `<schema>/valid-*.json` and `<schema>/invalid-*.json`."""


def published_files() -> dict[str, str]:
    """Return the text of every published file by its name."""
    return {f"{name}.schema.json": schema_text(json_schema(name)) for name in PUBLISHED} | {
        f"{name}.avsc": avro_schema_file(name) for name in PUBLISHED_AVRO
    }
