"""Versions that stacks share through the registry: their names, and the newest of each stack."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.candidates import Candidate
from mlops.errors import InvalidError
from mlops.shared import newest_first, registry_of, shared_version


def _candidate(code_version: str) -> Candidate:
    def download(_: Path) -> Path:
        raise AssertionError("nothing is downloaded for a name")

    return Candidate("staging", "diabetes", "3", {}, {"commit": "c1", "code_version": code_version}, download)


def _shared(stack: str, version: str, at: str) -> tuple[str, dict[str, str]]:
    tags = {"shared_from": stack, "shared_version": version, "shared_at": at}
    return f"{stack}-{version}-{at}", tags | {"tested_commit": "c", "tested_code_version": "1"}


def test_the_name_has_stack_version_and_tested_code_in_letters_that_azure_ml_takes() -> None:
    assert shared_version(_candidate("417")) == "staging-3-417"
    assert shared_version(_candidate("fix/long name")) == "staging-3-fix-long-name"


def test_the_last_shared_version_is_first_even_if_its_model_is_older() -> None:
    versions = newest_first([_shared("staging", "9", "2026-11-01"), _shared("staging", "3", "2026-11-02")], "staging")

    assert [tags["shared_version"] for _, tags in versions] == ["3", "9"]


def test_models_of_other_stacks_and_manually_shared_ones_are_ignored() -> None:
    name, tags = _shared("staging", "3", "2026-11-02")
    by_hand = {key: value for key, value in tags.items() if key != "tested_commit"}

    assert newest_first([(name, by_hand), ("1", {}), _shared("dev", "1", "2026-11-03")], "staging") == []


def test_a_stack_without_registry_names_the_setting_for_it() -> None:
    clients: Any = SimpleNamespace(outputs=SimpleNamespace(environment="dev", model_registry=""))

    with pytest.raises(InvalidError, match=r"Stack dev has no registry .* set model_registry.name"):
        registry_of(clients)
