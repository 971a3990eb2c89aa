"""The picture shows every resource of the stack, under the component that made it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from infra import graph
from infra.stack_file import ROOT
from tests.unit.infra.recorder import Deployment, deploy, deploy_stack
from tests.unit.infra.test_platform import FULL, NETWORKS

SVG = "{http://www.w3.org/2000/svg}"
STACK = "urn:pulumi:dev::dataopsml::pulumi:pulumi:Stack::dataopsml-dev"


def exported(deployment: Deployment) -> dict[str, Any]:
    """As `pulumi stack export` prints it."""
    resources: list[dict[str, Any]] = [{"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False}]
    for each in deployment:
        resources.append(
            {
                "urn": each.urn,
                "type": each.type,
                "custom": not each.is_component,
                "parent": each.parent or STACK,
                "dependencies": list(each.depends_on),
                "propertyDependencies": {key: list(value) for key, value in each.reads.items()},
                "provider": each.provider,
            }
        )
    return {"version": 3, "deployment": {"resources": resources}}


def shown(text: str) -> set[str]:
    """Names of the resources in a picture, in full."""
    lines = [title.text or "" for title in _parsed(text).iterfind(f".//{SVG}text/{SVG}title")]
    return {line.rsplit(" ", 1)[-1] for line in lines}


def _parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - the project's own picture


def real(deployment: Deployment) -> set[str]:
    return {each.name for each in deployment if not each.is_component}


@pytest.fixture(params=NETWORKS)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return deploy("prod", network=NETWORKS[request.param], **FULL)


def test_every_resource_is_shown_under_its_component(deployment: Deployment) -> None:
    drawn = graph.boxes(exported(deployment))
    owners = {each.urn: each.name for each in deployment if each.is_component}
    wanted = {(owners[each.parent], each.name) for each in deployment if not each.is_component}
    assert {(box.name, name) for box in drawn for _, name in box.resources} == wanted
    assert shown(graph.svg(drawn, "it")) == real(deployment)


def test_what_is_needed_stands_to_the_left(deployment: Deployment) -> None:
    drawn = graph.boxes(exported(deployment))
    columns = {box.urn: box.column for box in drawn}
    assert all(columns[need] < box.column for box in drawn for need in box.needs)
    places = {box.name: box.column for box in drawn}
    assert places["platform"] == 0 and places["access"] < places["learning"] < places["locks"]


def test_boxes_do_not_overlap(deployment: Deployment) -> None:
    drawn = graph.boxes(exported(deployment))
    graph.svg(drawn, "it")
    for box in drawn:
        for other in drawn:
            if box is not other and box.x == other.x:
                assert box.y + box.height < other.y or other.y + other.height < box.y, (box.name, other.name)


def test_the_same_stack_is_drawn_the_same() -> None:
    pictures = [graph.svg(graph.boxes(exported(deploy())), "it") for _ in range(2)]
    assert pictures[0] == pictures[1]


def test_the_picture_of_the_documentation_is_the_local_stack_s() -> None:
    picture = (ROOT / "docs" / "platform.svg").read_text(encoding="utf-8")
    assert shown(picture) == real(deploy_stack("local")), "draw it again: make up && make graph"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "This is not an exported stack"),
        ("{}", "This is not an exported stack"),
        ('{"deployment": {}}', "The stack has no resources: deploy it first"),
    ],
)
def test_other_input_is_refused(text: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "it.svg"
    monkeypatch.setattr(sys, "argv", ["graph", str(file)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    with pytest.raises(SystemExit, match=said):
        graph.main()
    assert not file.exists()


def test_the_command_writes_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.svg"
    monkeypatch.setattr(sys, "argv", ["graph", str(file)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(exported(deploy()))))
    graph.main()
    assert shown(file.read_text(encoding="utf-8")) == real(deploy())
    assert f"shows {len(real(deploy()))} resources" in capsys.readouterr().out
