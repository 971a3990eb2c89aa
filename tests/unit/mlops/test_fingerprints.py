"""The same content has the same fingerprint; any change of it another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract.outputs import PlatformOutputs, read_outputs
from mlops import fingerprints, notebooks, publish, specifications
from mlops.clients import Clients
from mlops.errors import InvalidError
from tests import samples

PIPELINE = specifications.load("diabetes", samples.PIPELINES)


@pytest.fixture(autouse=True)
def notebook_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write notebooks of the sample pipeline: the repository may have lost the shipped ones."""
    folder = tmp_path_factory.mktemp("notebooks")
    _folder(folder, **{f"{name}.py": f"print('{name}')\n" for name in PIPELINE.notebooks})
    monkeypatch.setattr(notebooks, "FOLDER", folder)


def _folder(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def test_a_folder_s_fingerprint_follows_from_names_and_contents(tmp_path: Path) -> None:
    first = fingerprints.of_folder(_folder(tmp_path / "a", x="1", sub__y="2"))

    assert fingerprints.of_folder(_folder(tmp_path / "b", sub__y="2", x="1")) == first
    assert fingerprints.of_folder(_folder(tmp_path / "c", x="1", sub__y="3")) != first
    assert fingerprints.of_folder(_folder(tmp_path / "d", x="1", sub__z="2")) != first


def test_python_s_caches_do_not_count(tmp_path: Path) -> None:
    folder = _folder(tmp_path, x="1")
    before = fingerprints.of_folder(folder)

    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"compiled")

    assert fingerprints.of_folder(folder) == before


def test_notebooks_go_to_a_path_that_has_their_content_s_hash() -> None:
    path = notebooks.notebook_path("/platform/X", "feature_engineering")

    assert path == f"/platform/X/{notebooks.content_hash('feature_engineering')}/feature_engineering"


def test_the_plan_follows_the_content_and_the_outputs_it_is_built_from(
    printed: dict[str, Any], outputs: PlatformOutputs
) -> None:
    plan = publish.plan(Clients(outputs, PIPELINE))

    assert publish.plan(Clients(outputs, PIPELINE)) == plan
    other = read_outputs({**printed, "instance_pool_id": "pool-2"}, "test")
    assert publish.plan(Clients(other, PIPELINE)).fingerprint != plan.fingerprint
    unrelated = read_outputs({**printed, "key_vault_uri": "https://kv-other.vault.azure.net/"}, "test")
    assert publish.plan(Clients(unrelated, PIPELINE)).fingerprint == plan.fingerprint


def test_the_version_is_the_build_id_where_there_is_one(
    outputs: PlatformOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_BUILDID", "417")

    assert publish.plan(Clients(outputs, PIPELINE)).version == "417"
    assert publish.plan(Clients(outputs, PIPELINE), "20261125.3").version == "20261125.3"
    monkeypatch.delenv("BUILD_BUILDID")
    plan = publish.plan(Clients(outputs, PIPELINE))
    assert plan.version == f"{publish.commit()[:10]}-{plan.fingerprint[:8]}"


@pytest.mark.parametrize("version", ["a b", "-1", "x" * 40, "é"])
def test_a_version_that_azure_ml_would_refuse_is_named(outputs: PlatformOutputs, version: str) -> None:
    with pytest.raises(InvalidError, match=r"The version .* is not usable"):
        publish.plan(Clients(outputs, PIPELINE), version)


@pytest.mark.parametrize(
    ("version", "deployment"),
    [("417", "v-417"), ("20261125.3", "v-20261125-3"), ("095d900ebe-9e7dfc4b", "v-095d900ebe-9e7dfc4b")],
)
def test_deployments_are_named_after_the_version(version: str, deployment: str) -> None:
    assert publish.Publication("f" * 64, version).deployment == deployment


@pytest.mark.parametrize(
    ("content", "version", "requested", "expected"),
    [
        ("same", "1", False, True),
        ("other", "1", False, False),
        ("same", "2", False, True),
        ("same", "2", True, False),
        ("same", "1", True, True),
        ("other", "1", True, False),
    ],
)
def test_a_requested_version_is_published_even_with_unchanged_content(
    content: str, version: str, requested: bool, expected: bool
) -> None:
    now = publish.Published("v-1", {"fingerprint": "same", "code_version": "1"}, "/component")

    assert publish.Publication(content, version, requested).is_up_to_date(now) is expected
