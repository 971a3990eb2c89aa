"""Outputs come from Pulumi or from a file, and their faults are named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlops.cli import app
from mlops.environment import load_outputs, load_own_outputs, loading
from mlops.errors import InvalidError, MissingError, RemoteError


def test_outputs_are_read_from_the_file_of_an_earlier_stage(printed: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(printed), encoding="utf-8")

    assert load_outputs("test", file).workspace_name == "aml-d-test"


def test_a_missing_output_is_named_with_its_stack(printed: dict[str, Any], tmp_path: Path) -> None:
    del printed["instance_pool_id"]
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(printed), encoding="utf-8")

    with pytest.raises(InvalidError, match=r"Stack staging (.|\n)*instance_pool_id is missing"):
        load_outputs("staging", file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "not a JSON object"),
        ("{}", r"^Stack test has no outputs yet: bring it up with `pulumi up --stack test`\.$"),
    ],
)
def test_a_broken_outputs_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InvalidError, match=message):
        load_outputs("test", file)


def test_a_missing_outputs_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nowhere\.json"):
        load_outputs("test", tmp_path / "nowhere.json")


def test_a_promotion_takes_no_outputs_of_another_stack_than_it_names(printed: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(printed), encoding="utf-8")

    assert load_own_outputs("organization/dataopsml/test", file).environment == "test"
    words = ["promote", "--from", "test", "--from-outputs", str(file), "--to", "prod", "--to-outputs", str(file)]
    with pytest.raises(
        InvalidError, match=rf"^{file} has the outputs of stack test, not of prod: write it with `pulumi"
    ):
        CliRunner().invoke(app, words, catch_exceptions=False)


def _pulumi(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "pulumi"
    command.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_pulumi_gets_the_stack_s_name(printed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps(printed), encoding="utf-8")
    command = "stack output --json --stack staging --non-interactive"
    _pulumi(tmp_path, f'[ "$*" = "{command}" ] && cat {answer}', monkeypatch)

    assert load_outputs("staging").environment == "test"


def test_pulumi_runs_while_the_caller_does_something_else(
    printed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, pipe = tmp_path / "answer.json", tmp_path / "pipe"
    answer.write_text(json.dumps(printed), encoding="utf-8")
    os.mkfifo(pipe)
    _pulumi(tmp_path, f"read line < {pipe} && cat {answer}", monkeypatch)

    wait = loading("staging")
    pipe.write_text("go\n", encoding="utf-8")  # returns when Pulumi reads it

    assert wait().environment == "test"


def test_an_error_of_pulumi_is_raised_to_the_waiting_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pulumi(tmp_path, "echo 'error: the state is locked' >&2; exit 255", monkeypatch)

    wait = loading("x")

    with pytest.raises(RemoteError, match="the state is locked"):
        wait()


def test_the_error_of_a_failed_pulumi_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pulumi(tmp_path, "echo 'error: the state is locked' >&2; exit 255", monkeypatch)

    with pytest.raises(RemoteError, match="the state is locked"):
        load_outputs("x")


def test_a_missing_pulumi_is_reported_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingError, match="`pulumi` is not on PATH"):
        load_outputs("x")


@pytest.mark.parametrize("signed_in", ["by the variable", "by pulumi login"])
def test_a_stack_of_another_environment_is_read_from_its_own_container(
    printed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed_in: str
) -> None:
    (tmp_path / "answer.json").write_text(json.dumps(printed), encoding="utf-8")
    backend = "azblob://state-prod?storage_account=st"
    script = f"""
        if [ "$1" = whoami ]; then echo '{{"user": "me", "url": "{backend}"}}'; exit 0; fi
        if [ "$PULUMI_BACKEND_URL" = "azblob://state-staging?storage_account=st" ]; then cat {tmp_path}/answer.json
        else echo "error: no stack named 'staging' found" >&2; exit 6; fi"""
    _pulumi(tmp_path, script, monkeypatch)
    if signed_in == "by the variable":
        monkeypatch.setenv("PULUMI_BACKEND_URL", backend)
    else:
        monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)

    assert load_outputs("staging").workspace_name == "aml-d-test"


@pytest.mark.parametrize(
    ("stack", "answer", "hint"),
    [
        ("stagin", "error: container state-stagin does not exist", "did you mean staging?"),
        ("qa", "<Error><Code>ContainerNotFound</Code></Error>", "this checkout has dev, local, prod, staging."),
        (
            "dev",
            "error: no stack named 'dev' found",
            "bring it up with `make up STACK=dev` or `pulumi up --stack dev`.",
        ),
    ],
)
def test_an_unknown_stack_is_one_line_with_the_closest_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, answer: str, hint: str
) -> None:
    script = f"""
        case "$PULUMI_BACKEND_URL" in
            *state-{stack}*) echo "{answer}" >&2; exit 255;;
            *) echo "error: no stack named '{stack}' found" >&2; exit 6;;
        esac"""
    _pulumi(tmp_path, script, monkeypatch)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "azblob://state-prod?storage_account=st")

    with pytest.raises(MissingError) as caught:
        load_outputs(stack)

    own = f"azblob://state-{stack}?storage_account=st"
    assert str(caught.value) == f"There is no stack {stack!r}, nor a container for it, {own}: {hint}"


def test_a_refusing_container_is_no_unknown_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
        case "$PULUMI_BACKEND_URL" in
            *state-qa*) echo "error: AuthorizationPermissionMismatch" >&2; exit 255;;
            *) echo "error: no stack named 'qa' found" >&2; exit 6;;
        esac"""
    _pulumi(tmp_path, script, monkeypatch)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "azblob://state-prod?storage_account=st")

    with pytest.raises(RemoteError) as caught:
        load_outputs("qa")

    assert "no stack named 'qa' found" in str(caught.value)
    assert "azblob://state-qa?storage_account=st:\nerror: AuthorizationPermissionMismatch" in str(caught.value)
