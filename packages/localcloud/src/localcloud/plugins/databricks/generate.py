"""Writes schema.json: the inputs of every resource class, read from the installed Python SDK's classes.

    python -m localcloud.plugins.databricks.generate

Types have the form of localcloud/plugins/sdk_types.py.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from localcloud.plugins import sdk_types
from localcloud.plugins.databricks.resources import RESOURCES

SCHEMA_FILE = Path(__file__).with_name("schema.json")


def text() -> str:
    """Return the file's content; a resource's own inputs are under its token."""
    objects: sdk_types.Objects = {}
    package = importlib.import_module("pulumi_databricks")
    for token in RESOURCES:
        arguments = sdk_types.arguments_of(package, token.rpartition(":")[2])
        objects[token] = sdk_types.properties(arguments, "index", objects)
    return sdk_types.text(objects)


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
