"""The table of types and the committed schema against the installed Python SDK."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from types import ModuleType

import pytest
from localcloud.plugins.azure_native import generate
from localcloud.plugins.azure_native.types import TYPES
from localcloud.plugins.databricks import generate as databricks_generate


@pytest.mark.parametrize("schema", [generate, databricks_generate])
def test_the_committed_schema_is_the_installed_sdk_s(schema: ModuleType) -> None:
    assert schema.SCHEMA_FILE.read_text(encoding="utf-8") == schema.text(), f"run `python -m {schema.__name__}`"


@pytest.mark.parametrize("token", TYPES)
def test_the_api_version_is_named_by_the_sdk_s_class(token: str) -> None:
    """Its docstring says "Uses Azure REST API version …": the default of the vendor's plugin."""
    module, class_name = token.split(":")
    class_ = getattr(importlib.import_module(f"pulumi_azure_native.{module}"), class_name)
    named = set(re.findall(r"Uses Azure REST API version (\S+?)\.\s", inspect.getsource(class_)))

    assert named == {TYPES[token].version}


@pytest.mark.parametrize("token", TYPES)
def test_paths_are_made_of_inputs_that_the_sdk_has(token: str) -> None:
    type_, schema = TYPES[token], json.loads(generate.SCHEMA_FILE.read_text(encoding="utf-8"))
    known = {name.rstrip("!") for name in schema[token]}

    assert set(type_.parameters) - {"subscriptionId"} <= known | set(type_.fixed)
    assert type_.name in known
    assert {path.split(".", 1)[0] for path in type_.replaces} <= known
