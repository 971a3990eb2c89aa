"""Writes schema.json: the inputs of every type in the table, read from the installed Python SDK's classes.

    python -m localcloud.plugins.azure_native.generate

Types have the form of localcloud/plugins/sdk_types.py.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from localcloud.plugins import sdk_types
from localcloud.plugins.azure_native.types import TYPES

SCHEMA_FILE = Path(__file__).with_name("schema.json")


def text() -> str:
    """Return the file's content; a resource's own inputs are under its token without "azure-native:"."""
    objects: sdk_types.Objects = {}
    for token in TYPES:
        module, class_name = token.split(":")
        package = importlib.import_module(f"pulumi_azure_native.{module}")
        arguments = sdk_types.arguments_of(package, class_name)
        objects[token] = sdk_types.properties(arguments, module, objects)
    return sdk_types.text(objects)


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
