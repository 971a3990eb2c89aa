"""Pending operations of a killed update, and their removal by `pipelines.up`."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.state import pending

_ENGINE = """#!{python}
import pathlib, sys
folder = pathlib.Path(__file__).parent
if "export" in sys.argv:
    print((folder / "state.json").read_text())
else:
    (folder / "state.json").write_text(sys.stdin.read())
sys.exit({code} if "import" in sys.argv else 0)
"""


def operation(type_: str, name: str) -> dict[str, Any]:
    return {"type": type_, "resource": {"urn": f"urn:pulumi:dev::p::t::{name}"}}


def engine(folder: Path, state: dict[str, Any], code: int = 0) -> list[str]:
    (folder / "state.json").write_text(json.dumps(state))
    program = folder / "pulumi"
    program.write_text(_ENGINE.format(python=sys.executable, code=code))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return [str(program)]


@pytest.mark.parametrize(
    ("type_", "present", "over"),
    [
        ("creating", True, True),
        ("creating", False, False),
        ("updating", True, True),
        ("deleting", True, False),
        ("deleting", False, True),
    ],
)
def test_an_operation_is_over_when_the_state_shows_its_result(type_: str, present: bool, over: bool) -> None:
    resources = [{"urn": "urn:pulumi:dev::p::t::a"}] if present else []

    finished, left = pending.split({"resources": resources, "pending_operations": [operation(type_, "a")]})

    assert (len(finished), len(left)) == ((1, 0) if over else (0, 1))


def test_a_resource_that_waits_for_its_deletion_is_not_the_new_one() -> None:
    resources = [{"urn": "urn:pulumi:dev::p::t::a", "delete": True}]

    assert pending.split({"resources": resources, "pending_operations": [operation("creating", "a")]})[0] == []


def test_the_state_keeps_the_open_operations_which_are_named(tmp_path: Path) -> None:
    operations = [operation("creating", "made"), operation("creating", "lost")]
    deployment = {"resources": [{"urn": "urn:pulumi:dev::p::t::made"}], "pending_operations": operations}

    message = pending.clear(engine(tmp_path, {"version": 3, "deployment": deployment}), "dev")

    kept = json.loads((tmp_path / "state.json").read_text())["deployment"]
    assert kept["pending_operations"] == [operations[1]]
    assert kept["resources"] == deployment["resources"]
    assert message.startswith("Removed 1 pending operations of a killed update")
    assert "creating lost" in message and "pulumi refresh --stack dev" in message


def test_a_refusing_engine_leaves_the_operations_and_the_update_s_success(tmp_path: Path) -> None:
    deployment = {"resources": [{"urn": "urn:pulumi:dev::p::t::a"}], "pending_operations": [operation("creating", "a")]}

    message = pending.clear(engine(tmp_path, {"version": 3, "deployment": deployment}, code=3), "dev")

    assert message.startswith("The pending operations of stack dev stay:")
