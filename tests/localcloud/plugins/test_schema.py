"""The table of types and the committed schema against the installed Python SDK."""

from __future__ import annotations

import json

import pytest

from localcloud.plugins.azure_native import generate
from localcloud.plugins.azure_native.types import TYPES


def test_the_committed_schema_is_the_installed_sdk_s() -> None:
    assert generate.SCHEMA_FILE.read_text(encoding="utf-8") == generate.text(), (
        "run `python -m localcloud.plugins.azure_native.generate`"
    )


@pytest.mark.parametrize("token", TYPES)
def test_paths_are_made_of_inputs_that_the_sdk_has(token: str) -> None:
    type_, schema = TYPES[token], json.loads(generate.SCHEMA_FILE.read_text(encoding="utf-8"))
    known = {name.rstrip("!") for name in schema[token]}

    assert set(type_.parameters) - {"subscriptionId"} <= known | set(type_.fixed)
    assert type_.name in known
    assert {path.split(".", 1)[0] for path in type_.replaces} <= known
