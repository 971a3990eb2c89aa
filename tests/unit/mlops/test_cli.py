"""The command line as a process: known errors are one message and exit code 1, without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops import cli, specifications
from mlops.errors import InvalidError, RefusedError

ROOT = Path(__file__).resolve().parents[3]
_PIPELINE = specifications.names()[0]
_COMPLETED = {name for name in specifications.names() if name.startswith(_PIPELINE[:3])}
_FOREIGN = ("AZURE_", "HTTP", "http", "MLOPS_", "NO_PROXY", "no_proxy", "STACK")


def mlops(*words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return subprocess.run(
        [sys.executable, "-m", "mlops", *words],
        cwd=ROOT,
        env=clean | extra,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def outputs_file(printed: dict[str, Any], tmp_path: Path) -> str:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(printed), encoding="utf-8")
    return str(file)


def _refused(completed: subprocess.CompletedProcess[str], message: str) -> None:
    assert completed.returncode == 1, completed.stderr
    assert message in completed.stderr
    assert "Traceback" not in completed.stderr


def test_a_missing_data_file_is_named_before_the_stack_is_read(tmp_path: Path) -> None:
    _refused(mlops("up", "--data", "no/such/file.csv", PATH=str(tmp_path)), "no/such/file.csv does not exist")


def test_a_missing_output_is_named(printed: dict[str, Any], tmp_path: Path) -> None:
    del printed["batch_endpoint"]
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(printed), encoding="utf-8")

    _refused(mlops("status", "--outputs", str(file)), "batch_endpoint is missing")


def test_a_stack_s_own_version_is_not_looked_for_in_the_registry() -> None:
    _refused(
        mlops("promote", "--from", "prod", "--to", "prod", "--shared"),
        "--from and --to are both prod: a version that prod trained itself is promoted without --shared.",
    )


def test_an_endpoint_that_does_not_answer_is_named(outputs_file: str) -> None:
    signed_in = {"AZURE_TENANT_ID": "22222222-2222-2222-2222-222222222222", "AZURE_CLIENT_ID": "a"}
    completed = mlops(
        "status",
        "--outputs",
        outputs_file,
        **signed_in,
        AZURE_CLIENT_SECRET="b",
        HTTPS_PROXY="http://127.0.0.1:9",
    )

    _refused(completed, "Is the endpoint up")


def test_every_verb_is_listed() -> None:
    help_ = mlops("--help")

    assert help_.returncode == 0
    for verb in ("up", "publish", "run", "status", "cancel", "share", "promote", "rollback", "resume", "remove"):
        assert f" {verb} " in help_.stdout


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("mlops res", {"resume"}),
        (f"mlops run --pipeline {_PIPELINE[:3]}", _COMPLETED),
        ("mlops status --stack st", {"staging"}),
        (f"mlops remove {_PIPELINE[:3]}", _COMPLETED),
        ("mlops logs pre", {"prepare"}),
    ],
)
def test_a_shell_completes_verbs_pipelines_and_stacks(words: str, names: set[str]) -> None:
    completion = {"_MLOPS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    completed = subprocess.run(
        [ROOT / "tools/mlops"], env=os.environ | completion, capture_output=True, text=True, check=False
    )

    assert (set(completed.stdout.split()), completed.stderr) == (names, "")


def test_the_completion_of_each_shell_is_printed_and_bash_takes_it() -> None:
    completion = mlops("completion", "bash")
    defined = subprocess.run(
        ["bash", "-c", f"{completion.stdout}\ncomplete -p mlops"], capture_output=True, text=True, check=False
    )

    assert (completion.returncode, defined.returncode) == (0, 0), defined.stderr
    assert "_mlops_completion" in defined.stdout
    for shell in ("zsh", "fish"):
        assert "_MLOPS_COMPLETE" in mlops("completion", shell).stdout
    assert mlops("completion", "tcsh").returncode == 2


@pytest.mark.parametrize(("error", "code"), [(InvalidError("no such value"), 1), (RefusedError("march.csv"), 3)])
def test_a_known_error_ends_the_verb_with_its_own_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    assert cli._run(command) == code
    assert capsys.readouterr().err.strip() == f"Error: {error}"
