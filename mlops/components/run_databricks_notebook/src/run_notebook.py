"""Run a Databricks notebook as this job's identity, and end with its result.

The identity is the job's; Databricks knows it as a service principal. SIGTERM, which Azure ML sends when a step is
cancelled, cancels the run; after a kill the step's watchdog does so. The idempotency token is made of the job's run
id: a job that Azure ML starts again finds the run that it started before. A notebook that succeeds and writes no file
to its parameter output_uri fails the step, which would hand on an empty folder.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.credentials_provider import CredentialsStrategy
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.compute import ClusterSpec, DataSecurityMode
from databricks.sdk.service.jobs import NotebookTask, Run, RunLifeCycleState, RunResultState, Source, SubmitTask
from notebook_error import summarize  # type: ignore[import-not-found]
from output_folder import has_files  # type: ignore[import-not-found]
from watchdog import on_kill  # type: ignore[import-not-found]

# The application id of Azure Databricks, the same in every tenant.
_SCOPE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"
_ENDED = (RunLifeCycleState.TERMINATED, RunLifeCycleState.SKIPPED, RunLifeCycleState.INTERNAL_ERROR)
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.5, 10.0
_SHARE_OF_STATE = 0.02
"""Share of a state's time so far after which the run is read again: its end is seen that late at most."""
_TASK = "notebook"
_INPUT_URI, _NOT_RUN = "input_uri", "not_run"
"""Files: the notebook's work in an earlier step's output; the note of no work in this step's output."""
# A refusal by Databricks; no token for this job's identity; no connection, or none within the SDK's retries.
_REFUSALS = (DatabricksError, AzureError, OSError)


class _EntraIdentity(CredentialsStrategy):
    """The SDK has no strategy for a managed identity outside of virtual machines: azure-identity returns each token."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    def auth_type(self) -> str:
        return "entra-identity"

    def __call__(self, config: Config) -> Callable[[], dict[str, str]]:
        return lambda: {"Authorization": f"Bearer {self._credential.get_token(_SCOPE).token}"}


class NotebookError(Exception):
    """The run did not succeed; the text is the notebook's own error where it has one."""


@dataclass(frozen=True)
class Inputs:
    """The component's literal inputs."""

    workspace_url: str
    notebook_path: str
    instance_pool_id: str
    cluster_policy_id: str
    spark_version: str
    num_workers: int
    input_uri: str
    output_base: str
    timeout_minutes: int
    notebook_parameters: dict[str, str] = field(default_factory=dict)


def read_inputs(input_uri: str) -> Inputs:
    return Inputs(
        workspace_url=parameter("workspace_url"),
        notebook_path=parameter("notebook_path"),
        instance_pool_id=parameter("instance_pool_id"),
        cluster_policy_id=parameter("cluster_policy_id"),
        spark_version=parameter("spark_version"),
        num_workers=int(parameter("num_workers")),
        input_uri=input_uri,
        output_base=parameter("output_base"),
        timeout_minutes=int(parameter("timeout_minutes")),
        notebook_parameters=json.loads(parameter("notebook_parameters")),
    )


def parameter(name: str) -> str:
    """Return a literal input, which Azure ML passes to the process as a variable.

    Ends the program when the variable is missing. The name of the variable: azure-ai-ml, docstring of `CommandJob`.
    """
    variable = f"AZUREML_PARAMETER_{name}"
    if variable not in os.environ:
        sys.exit(f"The variable {variable} is not set: it has the input {name} of this component.")
    return os.environ[variable]


def job_credential() -> TokenCredential:
    """Return the credential of the job's managed identity; outside of Azure ML, azure-identity's default."""
    client = os.environ.get("DEFAULT_IDENTITY_CLIENT_ID")
    return ManagedIdentityCredential(client_id=client) if client else DefaultAzureCredential()


def connect(inputs: Inputs, credential: TokenCredential) -> WorkspaceClient:
    return WorkspaceClient(config=Config(host=inputs.workspace_url, credentials_strategy=_EntraIdentity(credential)))


def submit(client: WorkspaceClient, inputs: Inputs, output_uri: str, run_id: str) -> int:
    """Start the run, or find the run that this job started before; return its id."""
    cluster = ClusterSpec(
        spark_version=inputs.spark_version,
        policy_id=inputs.cluster_policy_id,
        instance_pool_id=inputs.instance_pool_id,
        driver_instance_pool_id=inputs.instance_pool_id,
        num_workers=inputs.num_workers,
        data_security_mode=DataSecurityMode.SINGLE_USER,
    )
    parameters = inputs.notebook_parameters | {"input_uri": inputs.input_uri, "output_uri": output_uri}
    notebook = NotebookTask(inputs.notebook_path, base_parameters=parameters, source=Source.WORKSPACE)
    waiting = client.jobs.submit(
        run_name=f"azureml {run_id}",
        tasks=[SubmitTask(task_key=_TASK, new_cluster=cluster, notebook_task=notebook)],
        timeout_seconds=int(timedelta(minutes=inputs.timeout_minutes).total_seconds()),
        idempotency_token=run_id[:64],
    )
    return int(waiting.run_id)


def follow(client: WorkspaceClient, run_id: int, timeout_minutes: int) -> Run:
    """Print each new state and the run's page; return the ended run.

    Raises NotebookError when it takes longer, and the client's error when the run cannot be read: either way the run
    is cancelled, since no caller would wait for it.
    """
    try:
        return _watch(client, run_id, timeout_minutes)
    except (NotebookError, *_REFUSALS):
        cancel(client, run_id)
        raise


def _watch(client: WorkspaceClient, run_id: int, timeout_minutes: int) -> Run:
    deadline = time.monotonic() + timeout_minutes * 60
    reported, since = "", time.monotonic()
    while True:
        run = client.jobs.get_run(run_id)
        if not reported:
            print(f"Databricks run {run_id}: {run.run_page_url}", flush=True)
        state = run.state
        life = state.life_cycle_state if state is not None else None
        now = life.value if life is not None else "UNKNOWN"
        if now != reported:
            print(f"Databricks run {run_id} is {now}", flush=True)
            reported, since = now, time.monotonic()
        if life in _ENDED:
            return run
        if time.monotonic() > deadline:
            raise NotebookError(f"the run took longer than {timeout_minutes} minutes")
        pause = max(_FIRST_POLL_SECONDS, (time.monotonic() - since) * _SHARE_OF_STATE)
        time.sleep(min(pause, _LONGEST_POLL_SECONDS))


def outcome(client: WorkspaceClient, run: Run) -> str:
    """Return the notebook's exit value. Raises NotebookError with its error when it did not succeed."""
    state = run.state
    task = run.tasks[0].run_id if run.tasks else run.run_id
    if state is not None and state.result_state == RunResultState.SUCCESS:
        output = client.jobs.get_run_output(task or 0)
        return (output.notebook_output.result or "") if output.notebook_output is not None else ""
    states = () if state is None else (state.life_cycle_state, state.result_state)
    ended = ", ".join(part.value for part in states if part is not None)
    reason = (state.state_message if state is not None else "") or ""
    try:
        output = client.jobs.get_run_output(task or 0)
    except _REFUSALS as error:
        # A run that never began, such as a skipped one, has none.
        print(f"Databricks run {run.run_id} has no output: {error}", file=sys.stderr, flush=True)
    else:
        reason = summarize(output.error) if output.error else reason
        if output.error_trace:
            print(output.error_trace, file=sys.stderr, flush=True)
    raise NotebookError(f"{reason or 'no reason is given'} ({ended or 'no state'})")


def check_output(credential: TokenCredential, output_uri: str) -> None:
    """Raise NotebookError when the notebook left no file in the folder that the step hands on."""
    try:
        written = has_files(credential, output_uri)
    except (AzureError, ValueError) as error:
        raise NotebookError(f"it succeeded, but its output {output_uri} cannot be listed: {error}") from error
    if not written:
        raise NotebookError(
            f"it succeeded, but wrote no file to {output_uri}: a notebook of this component writes to its parameter "
            "output_uri"
        )


def cancel(client: WorkspaceClient, run_id: int) -> None:
    """Request the end of a run; a refusal is printed, and hides no earlier error."""
    print(f"cancelling Databricks run {run_id}", flush=True)
    try:
        client.jobs.cancel_run(run_id)
    except _REFUSALS as error:
        print(f"Databricks run {run_id} could not be cancelled: {error}", file=sys.stderr, flush=True)


def cancel_on_sigterm(client: WorkspaceClient, run_id: int) -> None:
    """Cancel the run of a step that is stopped."""

    def stop(number: int, frame: FrameType | None) -> None:
        print("this step is being stopped", flush=True)
        cancel(client, run_id)
        sys.exit(143)

    signal.signal(signal.SIGTERM, stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--input-folder", type=Path)
    options = parser.parse_args()
    input_uri = named_input(options.input_folder)
    if not input_uri:
        # A folder without a file does not exist in storage, and the next step could not read it.
        (options.output / _NOT_RUN).write_text("There was nothing to read.", encoding="utf-8")
        print("The notebook is not run: the step before has nothing for it.")
        return
    run_notebook(read_inputs(input_uri), os.environ["AZUREML_RUN_ID"])


def named_input(folder: Path | None) -> str:
    """Return the notebook's input: the URI in an earlier step's output, or the literal input; empty for nothing."""
    if folder is None:
        return parameter("input_uri")
    file = folder / _INPUT_URI
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def run_notebook(inputs: Inputs, azureml_run: str) -> None:
    """Run the notebook to its end. Ends the program with the notebook's own error when it fails."""
    output_uri = f"{inputs.output_base.rstrip('/')}/{azureml_run}"
    credential = job_credential()

    def cancel_from_outside() -> None:
        cancel(connect(inputs, credential), run_id)  # the watchdog cannot go on with this process's connections

    client = connect(inputs, credential)
    try:
        # A signal that comes while the run is being submitted waits until the run can be cancelled.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        run_id = submit(client, inputs, output_uri, azureml_run)
        cancel_on_sigterm(client, run_id)
        with on_kill(cancel_from_outside):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            result = outcome(client, follow(client, run_id, inputs.timeout_minutes))
        check_output(credential, output_uri)
    except (NotebookError, *_REFUSALS) as error:
        sys.exit(f"The notebook {inputs.notebook_path} failed: {error}")
    print(f"The notebook's result: {result}", flush=True)


if __name__ == "__main__":
    main()
