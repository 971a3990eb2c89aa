"""The flowchart shows every resource of the stack, under the component that made it."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import graph
from infra.stack_file import ROOT
from tests.unit.infra.recorder import Deployment, deploy, deploy_stack
from tests.unit.infra.test_platform import FULL, NETWORKS

LOCAL = {"access": '{"invoker_role": "stack"}', "unity_catalog": '{"enabled": true}'}
"""Settings with which the local stack is shipped, as far as they make resources."""
STACK = "urn:pulumi:dev::dataopsml::pulumi:pulumi:Stack::dataopsml-dev"


def exported(deployment: Deployment) -> dict[str, Any]:
    """Return the stack as `pulumi stack export` prints it."""
    resources: list[dict[str, Any]] = [{"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False}]
    for resource in deployment:
        resources.append(
            {
                "urn": resource.urn,
                "type": resource.type,
                "custom": not resource.is_component,
                "parent": resource.parent or STACK,
                "dependencies": list(resource.depends_on),
                "propertyDependencies": {key: list(value) for key, value in resource.reads.items()},
                "provider": resource.provider,
            }
        )
    return {"version": 3, "deployment": {"resources": resources}}


def drawn_resources(text: str) -> set[str]:
    """Names of the resources in a flowchart."""
    return set(re.findall(r"<br/>(\S+) <i>", text))


def real(deployment: Deployment) -> set[str]:
    return {resource.name for resource in deployment if not resource.is_component}


@pytest.fixture(params=NETWORKS)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return deploy("prod", network=NETWORKS[request.param], **FULL)


def test_every_resource_is_shown_under_its_component(deployment: Deployment) -> None:
    drawn = graph.boxes(exported(deployment))
    owners = {resource.urn: resource.name for resource in deployment if resource.is_component}
    expected = {(owners[resource.parent], resource.name) for resource in deployment if not resource.is_component}
    assert {(box.name, name) for box in drawn for _, name in box.resources} == expected
    assert drawn_resources(graph.mermaid(drawn)) == real(deployment)


def test_a_component_follows_its_dependencies(deployment: Deployment) -> None:
    drawn = graph.boxes(exported(deployment))
    places = {box.urn: index for index, box in enumerate(drawn)}
    assert all(places[need] < places[box.urn] for box in drawn for need in box.needs)
    names = {box.title: index for index, box in enumerate(drawn)}
    assert names["Platform"] == 0
    assert names["ResourceAccess"] < names["MachineLearning"] < names["TrainingResources"] < names["Locks"]


def test_an_arrow_that_others_imply_is_left_out() -> None:
    drawn = graph.boxes(exported(deploy()))
    needs = {box.title: {other.title for other in drawn if other.urn in box.needs} for box in drawn}
    assert "WorkspaceAccess" in needs["TrainingResources"]
    assert "Platform" not in needs["TrainingResources"], "whatever is needed needs the resource group already"


def test_text_of_the_state_is_no_markup() -> None:
    """Names come from a file: they cannot end the label, the block or the page."""
    urn = 'urn:pulumi:dev::p::dataopsml:x:Y::n"]</b>'
    state = {"deployment": {"resources": [
        {"urn": STACK, "custom": False}, {"urn": urn, "custom": False, "parent": STACK},
        {"urn": f"{urn}-r", "type": "a:b:C<script>", "custom": True, "parent": urn},
    ]}}  # fmt: skip
    text = graph.mermaid(graph.boxes(state))
    assert "<script>" not in text and 'n"]' not in text
    assert text.count('"]') == 1


def test_the_same_stack_is_drawn_the_same() -> None:
    pictures = [graph.mermaid(graph.boxes(exported(deploy()))) for _ in range(2)]
    assert pictures[0] == pictures[1]


def test_the_picture_of_the_documentation_is_the_local_stack_s() -> None:
    """It shows the platform with the sample pipelines, or with this repository's own after `make graph`.

    Another pipeline, a retraining or an online endpoint makes the picture no worse.
    """
    drawn = drawn_resources((ROOT / "docs" / "platform.md").read_text(encoding="utf-8"))
    shipped = real(deploy("local", **LOCAL))
    assert drawn == shipped or drawn == real(deploy_stack("local")), "draw it again: make up && make graph"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "This is not an exported stack"),
        ("{}", "This is not an exported stack"),
        ('{"deployment": {}}', "The stack has no resources: deploy it first"),
    ],
)
def test_other_input_is_refused(text: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "it.md"
    monkeypatch.setattr(sys, "argv", ["graph", str(file)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    with pytest.raises(SystemExit, match=message):
        graph.main()
    assert not file.exists()


def test_the_command_writes_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.md"
    monkeypatch.setattr(sys, "argv", ["graph", str(file)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(exported(deploy()))))
    graph.main()
    assert drawn_resources(file.read_text(encoding="utf-8")) == real(deploy())
    assert f"shows {len(real(deploy()))} resources" in capsys.readouterr().out
