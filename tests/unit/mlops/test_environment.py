"""Outputs come from Pulumi or from a file, and what is wrong with them is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlops.environment import load_outputs
from mlops.errors import InvalidError, MissingError, RemoteError


def test_outputs_are_read_from_the_file_that_a_stage_passes_on(printed: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(printed), encoding="utf-8")

    assert load_outputs("test", file).workspace_name == "aml-d-test"


def test_a_missing_output_is_named_with_its_stack(printed: dict[str, Any], tmp_path: Path) -> None:
    del printed["instance_pool_id"]
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(printed), encoding="utf-8")

    with pytest.raises(InvalidError, match=r"Stack staging (.|\n)*instance_pool_id is missing"):
        load_outputs("staging", file)


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[]", "not a JSON object")])
def test_a_broken_outputs_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InvalidError, match=said):
        load_outputs("test", file)


def test_a_missing_outputs_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nowhere\.json"):
        load_outputs("test", tmp_path / "nowhere.json")


def _pulumi(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "pulumi"
    command.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_pulumi_is_asked_for_the_stack_by_name(
    printed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps(printed), encoding="utf-8")
    wanted = "stack output --json --stack staging --non-interactive"
    _pulumi(tmp_path, f'[ "$*" = "{wanted}" ] && cat {answer}', monkeypatch)

    assert load_outputs("staging").environment == "test"


def test_what_pulumi_says_when_it_fails_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pulumi(tmp_path, "echo 'error: no stack named x found' >&2; exit 255", monkeypatch)

    with pytest.raises(RemoteError, match="no stack named x found"):
        load_outputs("x")


def test_without_pulumi_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingError, match="`pulumi` is not on PATH"):
        load_outputs("x")
