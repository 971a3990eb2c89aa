"""Environments, data and components by azure-ai-ml: versions, labels, archives, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import command
from azure.ai.ml.entities import Data, Environment
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.workspace_session import IMAGE, ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]


def test_versions_are_numbered_listed_and_read_by_label(ml: MlWorkspace) -> None:
    name = unique("env")
    for tag in ("one", "two"):
        ml.client.environments.create_or_update(Environment(name=name, image=f"{IMAGE}-{tag}"))
    assert [environment.version for environment in ml.client.environments.list(name=name)] == ["1", "2"]
    assert ml.client.environments.get(name, label="latest").image == f"{IMAGE}-two"
    properties = ml.azure.arm("GET", f"{ml.id}/environments/{name}", ML).json()["properties"]
    assert (properties["latestVersion"], properties["nextVersion"]) == ("2", "3")
    query = {"$orderBy": "createdtime desc", "$top": "1"}
    newest = ml.azure.arm("GET", f"{ml.id}/environments/{name}/versions", ML, None, **query).json()
    assert [environment["name"] for environment in newest["value"]] == ["2"]
    assert "nextLink" in newest


def test_a_registered_version_never_changes_but_its_tags_do(ml: MlWorkspace) -> None:
    name = unique("env")
    ml.client.environments.create_or_update(Environment(name=name, version="1", image=IMAGE))
    with pytest.raises((HttpResponseError, ResourceExistsError), match="cannot be changed"):
        ml.client.environments.create_or_update(Environment(name=name, version="1", image=f"{IMAGE}-2"))
    tagged = Environment(name=name, version="1", image=IMAGE, tags={"a": "b"})
    assert ml.client.environments.create_or_update(tagged).tags == {"a": "b"}


def test_archived_versions_are_listed_on_request_only(ml: MlWorkspace) -> None:
    name = unique("env")
    ml.client.environments.create_or_update(Environment(name=name, version="1", image=IMAGE))
    ml.client.environments.archive(name, version="1")
    assert list(ml.client.environments.list(name=name)) == []
    archived = ml.client.environments.list(name=name, list_view_type="ArchivedOnly")
    assert [environment.version for environment in archived] == ["1"]
    ml.client.environments.restore(name, version="1")
    assert [environment.version for environment in ml.client.environments.list(name=name)] == ["1"]


def test_local_data_is_uploaded_without_a_key(ml: MlWorkspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    data = ml.client.data.create_or_update(
        Data(name=unique("data"), version="1", path=str(tmp_path / "a.csv"), type="uri_file")
    )
    path = data.path.split("/paths/")[1]
    container = ml.client.datastores.get_default().container_name
    assert ml.blobs().get_blob_client(container, path).download_blob().readall() == b"x\n1\n"


def test_the_same_code_is_uploaded_once(ml: MlWorkspace, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('hello')\n")
    codes = set()
    for _ in range(2):
        step = command(name=unique("step"), command="python main.py", code=str(tmp_path), environment=ml.environment)
        component = ml.client.components.create_or_update(step.component)
        codes.add(component.code)
    assert len(codes) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"environment": "azureml:nothing:1"}, "azureml:nothing:1"),
        ({"command": "echo ${{inputs.other}}"}, "other"),
        ({"inputs": {"x": {"type": "banana"}}}, "banana"),
        ({"inputs": {"1x": {"type": "string"}}}, "1x"),
        ({"command": None}, "command"),
    ],
)
def test_a_component_that_cannot_run_is_refused(ml: MlWorkspace, change: Json, named: str) -> None:
    spec = {"type": "command", "command": "echo", "environment": ml.environment, "inputs": {}, "outputs": {}} | change
    answer = ml.azure.arm(
        "PUT", f"{ml.id}/components/{unique('bad')}/versions/1", ML, {"properties": {"componentSpec": spec}}
    )
    status, _, message = error_of(answer)
    assert status in {400, 404}
    assert named in message


def test_a_component_without_a_version_is_its_latest(ml: MlWorkspace) -> None:
    name = unique("comp")
    spec = {"type": "command", "environment": ml.environment, "inputs": {}, "outputs": {}}
    for version in ("1", "2"):
        body = {
            "properties": {"componentSpec": spec | {"command": f"echo {version}", "name": name, "version": version}}
        }
        ml.azure.put(f"{ml.id}/components/{name}/versions/{version}", ML, body)
    assert ml.client.components.get(name).version == "2"
    with pytest.raises(HttpResponseError, match=f"{name}x"):
        ml.client.components.get(f"{name}x")
