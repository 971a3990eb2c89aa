"""The step that runs a notebook on Databricks, as Azure ML starts it: a process, its identity, and how the run ends."""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.unit.http_service import Service
from tests.unit.mlops.databricks_workspace import RUN, SECRET, TOKEN, Workspace, state

PROGRAM = Path(__file__).resolve().parents[3] / "mlops/components/run_databricks_notebook/src/run_notebook.py"
_FOREIGN = ("AZURE", "ARM_", "MSI", "IDENTITY", "DATABRICKS", "HTTP", "http", "NO_PROXY", "no_proxy", "ALL_PROXY")
_sleep = time.sleep
_NOTEBOOK = "/dataopsml/notebooks/0123/feature_engineering"
_INPUTS = {
    "notebook_path": _NOTEBOOK,
    "instance_pool_id": "pool-1",
    "cluster_policy_id": "policy-1",
    "spark_version": "17.3.x-scala2.13",
    "num_workers": 1,
    "notebook_parameters": "{}",
    "input_uri": "abfss://d@a.dfs.core.windows.net/in",
    "output_base": "abfss://d@a.dfs.core.windows.net/out/",
    "timeout_minutes": 60,
}


class Step:
    """The step's program: in this process, which spares the start of an interpreter a test, or in one of its own.

    `written` are the answers of storage, by folder: whether there is a file in it, or the refusal to list it.
    """

    def __init__(self, url: str, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._url, self._patch, self._capsys = url, patch, capsys
        for name in os.environ:
            if name.startswith(_FOREIGN):
                patch.delenv(name)
        variables = {
            "AZUREML_RUN_ID": "run-1", "DEFAULT_IDENTITY_CLIENT_ID": "client-1", "MSI_ENDPOINT": f"{url}/msi/token",
            "MSI_SECRET": SECRET,
        }  # fmt: skip
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.syspath_prepend(PROGRAM.parent)
        self.written: dict[str, bool | Exception] = {"abfss://d@a.dfs.core.windows.net/out/run-1": True}
        patch.setattr(importlib.import_module("output_folder"), "has_files", self._has_files)

    def _has_files(self, credential: Any, uri: str) -> bool:
        answer = self.written[uri]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def give(self, inputs: dict[str, Any]) -> None:
        """Set the inputs as Azure ML does: literal inputs are variables."""
        for name, value in (_INPUTS | {"workspace_url": self._url} | inputs).items():
            self._patch.setenv(f"AZUREML_PARAMETER_{name}", str(value))

    def start(self, **inputs: Any) -> subprocess.Popen[str]:
        self.give(inputs)
        return subprocess.Popen(
            [sys.executable, PROGRAM.name, "--output", "out"],
            cwd=PROGRAM.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, **inputs: Any) -> tuple[int, str, list[str]]:
        """Exit code, standard output, lines of standard error. No token is in either; another error is the test's."""
        self.give(inputs)
        self._patch.setattr(sys, "argv", [str(PROGRAM), "--output", "out"])
        self._patch.setattr(time, "sleep", lambda seconds: _sleep(min(seconds, 0.01)))  # the awaited event has happened
        mask, handler = signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.getsignal(signal.SIGTERM)
        code, message = 0, ""
        try:
            runpy.run_path(str(PROGRAM), run_name="__main__")
        except SystemExit as ended:
            code, message = (1, str(ended.code)) if isinstance(ended.code, str) else (int(ended.code or 0), "")
        finally:
            signal.signal(signal.SIGTERM, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        out, err = self._capsys.readouterr()
        assert TOKEN not in out + err + message and SECRET not in out + err + message
        return code, out, [*err.splitlines(), *message.splitlines()]


@pytest.fixture
def workspace() -> Workspace:
    return Workspace()


@pytest.fixture
def step(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Step]:
    with Service(workspace.serve) as running:
        yield Step(running.url, monkeypatch, capsys)


def test_a_successful_run_returns_the_notebooks_result(workspace: Workspace, step: Step) -> None:
    code, out, err = step.run(timeout_minutes=7, num_workers=2)

    assert (code, err) == (0, [])
    assert 'The notebook\'s result: {"rows": 406}' in out
    assert f"Databricks run {RUN}: https://adb-1.1" in out
    (submitted,) = workspace.submitted
    assert submitted["idempotency_token"] == "run-1"
    assert submitted["timeout_seconds"] == 420
    (task,) = submitted["tasks"]
    assert task["notebook_task"]["base_parameters"] == {
        "input_uri": "abfss://d@a.dfs.core.windows.net/in",
        "output_uri": "abfss://d@a.dfs.core.windows.net/out/run-1",
    }
    cluster = task["new_cluster"]
    assert (cluster["policy_id"], cluster["num_workers"]) == ("policy-1", 2)
    assert cluster["instance_pool_id"] == cluster["driver_instance_pool_id"] == "pool-1"
    assert workspace.cancelled == []


def test_inputs_reach_the_notebook_unchanged(workspace: Workspace, step: Step) -> None:
    hostile = "abfss://d@a.dfs.core.windows.net/a$(touch x)`touch y`';\"\n --output-base x.csv"

    code, _, err = step.run(input_uri=hostile, notebook_parameters='{"target": "price", "output_uri": "elsewhere"}')

    assert (code, err) == (0, [])
    (task,) = workspace.submitted[0]["tasks"]
    assert task["notebook_task"]["base_parameters"]["target"] == "price"
    assert task["notebook_task"]["base_parameters"]["output_uri"] == "abfss://d@a.dfs.core.windows.net/out/run-1"
    assert task["notebook_task"]["base_parameters"]["input_uri"] == hostile


def test_an_input_that_azure_ml_did_not_set_is_named(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    step.give({})
    monkeypatch.delenv("AZUREML_PARAMETER_input_uri")

    completed = subprocess.run(
        [sys.executable, PROGRAM, "--output", "out"], capture_output=True, text=True, check=False
    )

    assert completed.returncode == 1
    assert (
        completed.stderr
        == "The variable AZUREML_PARAMETER_input_uri is not set: it has the input input_uri of this component.\n"
    )


def test_a_notebook_that_wrote_nothing_fails_the_step(workspace: Workspace, step: Step) -> None:
    step.written = dict.fromkeys(step.written, False)

    code, out, err = step.run()

    assert (code, len(err)) == (1, 1), err
    assert err[0] == (
        f"The notebook {_NOTEBOOK} failed: it succeeded, but wrote no file to abfss://d@a.dfs.core.windows.net/out/"
        "run-1: a notebook of this component writes to its parameter output_uri"
    )
    assert "result:" not in out
    assert workspace.cancelled == [], "it has ended"


def test_an_output_that_cannot_be_listed_fails_the_step_with_that_reason(step: Step) -> None:
    step.written = dict.fromkeys(step.written, HttpResponseError("403 AuthorizationPermissionMismatch"))

    code, _, err = step.run()

    assert (code, len(err)) == (1, 1), err
    assert err[0].endswith("/out/run-1 cannot be listed: 403 AuthorizationPermissionMismatch"), err


def test_a_briefly_busy_workspace_fails_nothing(workspace: Workspace, step: Step) -> None:
    workspace.busy = 2

    code, _, err = step.run()

    assert (code, err) == (0, [])
    assert (len(workspace.submitted), workspace.busy, workspace.cancelled) == (1, 0, [])


def test_a_raising_notebook_fails_the_step_with_its_own_error_and_trace(workspace: Workspace, step: Step) -> None:
    workspace.states = [state("TERMINATED", "FAILED", "Workload failed, see run output for details")]
    workspace.output = {"error": "ValueError: no rows are left", "error_trace": "Traceback …\nValueError: no rows"}

    code, _, err = step.run()

    assert code == 1
    assert err == [
        "Traceback …",
        "ValueError: no rows",
        f"The notebook {_NOTEBOOK} failed: ValueError: no rows are left (TERMINATED, FAILED)",
    ]
    assert workspace.cancelled == [], "it has ended"


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (state("TERMINATED", "CANCELED", "Run cancelled."), "failed: Run cancelled. (TERMINATED, CANCELED)"),
        (state("TERMINATED", "TIMEDOUT", "Run timed out."), "failed: Run timed out. (TERMINATED, TIMEDOUT)"),
        (state("SKIPPED", None, "Skipped: too many runs."), "failed: Skipped: too many runs. (SKIPPED)"),
        (
            state("INTERNAL_ERROR", "FAILED", "Cluster did not start: CLOUD_PROVIDER_LAUNCH_FAILURE."),
            "failed: Cluster did not start: CLOUD_PROVIDER_LAUNCH_FAILURE. (INTERNAL_ERROR, FAILED)",
        ),
        (state("TERMINATED", "FAILED"), "failed: no reason is given (TERMINATED, FAILED)"),
    ],
)
def test_a_run_with_another_result_fails_the_step_and_names_it(
    workspace: Workspace, step: Step, ended: dict[str, Any], message: str
) -> None:
    workspace.states, workspace.output = [state("PENDING"), ended], {}

    code, out, err = step.run()

    assert (code, len(err)) == (1, 1), err
    assert err[0].endswith(message), err
    assert "result:" not in out


def test_a_run_with_a_refused_output_still_reports_its_result(workspace: Workspace, step: Step) -> None:
    workspace.states = [state("SKIPPED", None, "Skipped: too many runs.")]
    workspace.refusals["get-output"] = (400, "INVALID_PARAMETER_VALUE", "Run has no output.")

    code, _, err = step.run()

    assert code == 1
    assert err[0] == f"Databricks run {RUN} has no output: Run has no output."
    assert err[1].endswith("failed: Skipped: too many runs. (SKIPPED)")


def test_a_run_that_takes_too_long_is_cancelled(workspace: Workspace, step: Step) -> None:
    workspace.states = [state("RUNNING")]

    code, _, err = step.run(timeout_minutes=0)

    assert code == 1
    assert err[-1].endswith("failed: the run took longer than 0 minutes")
    assert workspace.cancelled == [RUN]


def test_a_run_that_can_no_longer_be_read_is_cancelled(workspace: Workspace, step: Step) -> None:
    message = "id-d-test does not have View permissions on the run."
    workspace.refusals["get"] = (403, "PERMISSION_DENIED", message)

    code, _, err = step.run()

    assert code == 1
    assert f"failed: {message}" in err[-1]
    assert workspace.cancelled == [RUN]


def test_a_refused_cancellation_does_not_hide_its_reason(workspace: Workspace, step: Step) -> None:
    workspace.states = [state("RUNNING")]
    workspace.refusals["cancel"] = (403, "PERMISSION_DENIED", "no Manage Run")

    code, _, err = step.run(timeout_minutes=0)

    assert code == 1
    assert err[0].startswith(f"Databricks run {RUN} could not be cancelled: no Manage Run")
    assert err[-1].endswith("failed: the run took longer than 0 minutes")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "PERMISSION_DENIED", "id-d-test is not authorized to use this policy."),
        (400, "INVALID_PARAMETER_VALUE", "Instance pool pool-1 does not exist."),
        (404, "RESOURCE_DOES_NOT_EXIST", "Cluster policy policy-1 does not exist."),
    ],
)
def test_a_refused_run_fails_the_step_with_databricks_words(
    workspace: Workspace, step: Step, status: int, code: str, message: str
) -> None:
    workspace.refusals["submit"] = (status, code, message)

    exit_code, _, err = step.run()

    assert (exit_code, len(err)) == (1, 1), err
    # With 401 and 403 the SDK appends its way of sign-in.
    assert err[0].startswith(f"The notebook /dataopsml/notebooks/0123/feature_engineering failed: {message}"), err
    assert workspace.cancelled == []


def test_an_identity_without_a_token_fails_the_step_without_a_trace(workspace: Workspace, step: Step) -> None:
    workspace.identity = (400, {"statusCode": 400, "message": "Identity client-1 is not assigned to the compute."})

    code, _, err = step.run()

    assert code == 1
    assert "Identity client-1 is not assigned" in err[-1] or "invalid_request" in err[-1], err
    assert not any(line.startswith("Traceback") for line in err), err
    assert workspace.submitted == []


def test_a_token_unknown_to_databricks_fails_the_step(workspace: Workspace, step: Step) -> None:
    expired = {"access_token": "another", "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}
    workspace.identity = (200, expired)

    code, _, err = step.run()

    assert code == 1
    assert err[-1].startswith(
        "The notebook /dataopsml/notebooks/0123/feature_engineering failed: Credential was not sent"
    ), err


def test_a_step_that_is_stopped_cancels_its_run(workspace: Workspace, step: Step) -> None:
    workspace.states = [state("RUNNING")]
    process = step.start()
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any(line == f"Databricks run {RUN} is RUNNING\n" for line in lines)

    process.send_signal(signal.SIGTERM)
    rest, err = process.communicate(timeout=60)

    assert process.returncode == 143
    assert rest.splitlines() == ["this step is being stopped", f"cancelling Databricks run {RUN}"]
    assert (workspace.cancelled, err) == ([RUN], "")


@pytest.mark.fault_kind("kill of a notebook step")
def test_a_step_that_is_killed_leaves_no_run_behind(workspace: Workspace, step: Step) -> None:
    workspace.states = [state("RUNNING")]
    process = step.start()
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any(line == f"Databricks run {RUN} is RUNNING\n" for line in lines)

    os.killpg(process.pid, signal.SIGKILL)  # as Azure ML and localcloud do: the whole group
    rest, err = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    assert (rest, err) == (f"cancelling Databricks run {RUN}\n", ""), "its streams are open until the watchdog ends"
    assert workspace.cancelled == [RUN]


def test_an_invalid_address_fails_the_step_without_a_trace(step: Step) -> None:
    code, _, err = step.run(workspace_url="adb-1.1 azuredatabricks.net")

    assert code == 1
    assert err[-1].startswith("The notebook /dataopsml/notebooks/0123/feature_engineering failed: "), err
    assert not any(line.startswith("Traceback") for line in err), err
