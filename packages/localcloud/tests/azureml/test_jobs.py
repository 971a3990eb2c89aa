"""Command jobs, by azure-ai-ml."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from azure.ai.ml import command
from azure.ai.ml.exceptions import JobException
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from localcloud.azureml.jobs.process import CommandProcess, end_left_over, mark_of
from localcloud.gateway.instance import state_file
from localcloud.testing.azure_session import unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.job_sources import (
    code,
    component,
    details,
    error_of_run,
    job_body,
    log_of,
    pipeline,
    put_job,
    refused,
    submit,
)
from localcloud.testing.workspace_session import ML, MlWorkspace, wait_for
from localcloud.testing.workspace_session import ml as ml


def test_a_failing_command_is_shown_with_its_exit_code_and_last_lines(
    ml: MlWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    name = submit(ml, "echo to the log; echo the reason >&2; exit 3")

    with pytest.raises(JobException, match="exited with status code 3"):
        ml.client.jobs.stream(name)

    assert ml.finished(name).status == "Failed"
    code_, message = error_of_run(ml, name)
    assert code_ == "UserError"
    assert message.startswith(
        "Execution failed. User process 'bash' exited with status code 3. Please check log file "
        "'user_logs/std_log.txt' for error details. Error: "
    )
    assert "the reason" in message
    assert "to the log\nthe reason" in log_of(ml, name)


def test_the_log_is_followed_while_the_command_runs(ml: MlWorkspace) -> None:
    name = submit(ml, "echo early; sleep 60")
    ml.in_state(name, "Running")

    wait_for(lambda: log_of(ml, name), lambda log: "early" in log)

    assert ml.client.jobs.get(name).status == "Running"
    ml.client.jobs.begin_cancel(name).result()


def test_cancelling_reaches_the_command_which_may_clean_up(ml: MlWorkspace) -> None:
    name = submit(ml, "trap 'echo cleaning up; exit 1' TERM; echo ready; sleep 60 & wait")
    wait_for(lambda: "user_logs/std_log.txt" in details(ml, name)["logFiles"] and log_of(ml, name), bool)
    wait_for(lambda: log_of(ml, name), lambda log: "ready" in log)

    ml.client.jobs.begin_cancel(name).result()

    assert ml.client.jobs.get(name).status == "Canceled"
    assert "cleaning up" in log_of(ml, name)
    assert details(ml, name)["error"] is None


def test_cancelling_a_finished_job_changes_nothing(ml: MlWorkspace) -> None:
    name = submit(ml, "true")
    assert ml.finished(name).status == "Completed"

    ml.client.jobs.begin_cancel(name).result()

    assert ml.client.jobs.get(name).status == "Completed"


def test_a_job_that_outlives_its_timeout_is_canceled_with_a_message(ml: MlWorkspace) -> None:
    job = command(name=unique("job"), command="sleep 60", environment=ml.environment, compute=ml.compute)
    job.set_limits(timeout=1)
    name = ml.client.jobs.create_or_update(job).name

    assert ml.finished(name).status == "Canceled"
    assert "longer than its timeout of 1 s" in error_of_run(ml, name)[1]


def test_processes_left_running_by_a_command_are_terminated(ml: MlWorkspace) -> None:
    name = submit(ml, "sleep 300 & echo child=$!")

    assert ml.finished(name).status == "Completed"
    pid = int(log_of(ml, name).split("child=")[1])
    wait_for(lambda: psutil.pid_exists(pid), lambda there: not there)


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    async def play() -> tuple[int, str]:
        log = tmp_path / "log"
        process = await CommandProcess.start(
            "trap '' TERM; echo ready; while true; do sleep 0.05; done", tmp_path, {"PATH": os.environ["PATH"]}, log
        )
        await asyncio.to_thread(wait_for, log.read_text, lambda text: "ready" in text)
        await process.end(grace=0.2)
        return await process.wait(), log.read_text()

    assert asyncio.run(play()) == (128 + signal.SIGKILL, "ready\n")


def test_a_process_is_terminated_only_by_its_mark(tmp_path: Path) -> None:
    async def play() -> tuple[bool, bool]:
        process = await CommandProcess.start("sleep 60", tmp_path, {"PATH": os.environ["PATH"]}, tmp_path / "log")
        mark = mark_of(process.pid)
        end_left_over({**mark, "created": mark["created"] - 100})
        lived = psutil.pid_exists(process.pid)
        end_left_over(mark)
        await process.wait()
        return lived, psutil.pid_exists(process.pid)

    assert asyncio.run(play()) == (True, False)


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"jobType": "Sweep"}, 501, "jobs of type 'Sweep'"),
        ({"jobType": "AutoML"}, 501, "jobs of type 'AutoML'"),
        ({"jobType": "Parallel"}, 501, "jobs of type 'Parallel'"),
        ({"environmentId": "azureml:nothing:1"}, 404, "'azureml:nothing:1' was not found"),
        ({"codeId": "azureml:nothing:1"}, 404, "'azureml:nothing:1' was not found"),
        ({"computeId": "nowhere"}, 400, "The compute 'nowhere'"),
        ({"command": ""}, 400, "The command of job"),
        ({"command": "echo ${{inputs.x}}"}, 400, "there is no such input"),
        ({"command": "echo ${{outputs.x}}"}, 400, "there is no such output"),
        ({"command": "echo ${{parent.inputs.x}}"}, 400, "parent.inputs.x"),
        ({"limits": {"timeout": "soon"}}, 400, "'soon' is not an ISO 8601 duration"),
        ({"inputs": {"a": {"jobInputType": "uri_folder", "uri": "azureml:nothing:1"}}}, 404, "'a' of job"),
        ({"inputs": {"a": {"jobInputType": "uri_folder", "uri": "ftp://x/y"}}}, 400, "ftp://x/y"),
        ({"inputs": {"a": {"jobInputType": "uri_folder"}}}, 400, "needs a uri"),
        (
            {"inputs": {"a": {"jobInputType": "uri_folder", "uri": "https://x.blob.core.windows.net/c", "mode": "Up"}}},
            400,
            "The mode 'Up' of input 'a'",
        ),
        (
            {"outputs": {"o": {"jobOutputType": "uri_folder", "uri": "azureml://datastores/nothing/paths/x"}}},
            400,
            "The datastore 'nothing'",
        ),
        ({"identity": {"identityType": "Nobody"}}, 400, "'Nobody' is not valid"),
        ({"resources": {"instanceCount": 2}}, 501, "several nodes"),
        ({"resources": {"instanceCount": "many"}}, 400, "properties.resources.instanceCount must be an integer"),
        ({"computeId": None, "resources": {"instanceType": "fast"}}, 400, "'fast' is not valid"),
        ({"resources": "one"}, 400, "properties.resources must be an object, not 'one'"),
        ({"limits": [1]}, 400, "properties.limits must be an object, not [1]"),
        ({"identity": {"identityType": 5}}, 400, "properties.identity.identityType must be a string, not 5"),
        ({"environmentVariables": ["A=b"]}, 400, "properties.environmentVariables must be an object, not ['A=b']"),
        ({"outputs": {"o": 5}}, 400, "properties.outputs.o must be an object, not 5"),
        ({"displayName": {"a": 1}}, 400, "properties.displayName must be a string"),
        ({"jobs": {"a": 5}}, 400, "properties.jobs.a must be an object, not 5"),
        (
            {"jobs": {"a": {"environment_variables": 5}}},
            400,
            "properties.jobs.a.environment_variables must be an object",
        ),
    ],
)
def test_settings_that_azure_ml_refuses_are_refused_by_name(
    ml: MlWorkspace, change: dict[str, object], status: int, reason: str
) -> None:
    actual_status, code_, message = refused(ml, job_body(ml, "true", **change))

    assert (actual_status, reason in message) == (status, True), (code_, message)


def test_a_job_for_the_client_s_own_machine_is_not_run_as_a_serverless_one(ml: MlWorkspace) -> None:
    """compute="local" arrives as resources.properties.IsLocal; Azure answers with an archive for the client to run."""
    with pytest.raises(HttpResponseError, match="localcloud does not emulate the execution service") as refusal:
        submit(ml, "true", compute="local")

    assert refusal.value.status_code == 501


def _cluster(ml: MlWorkspace, vm_size: str) -> str:
    """Make a cluster of one node at most. Return its name."""
    compute = unique("c")[:12]
    ml.azure.put(
        f"{ml.id}/computes/{compute}", ML,
        {
            "location": "westeurope",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {ml.identity_id: {}}},
            "properties": {
                "computeType": "AmlCompute",
                "properties": {"vmSize": vm_size, "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}},
            },
        },
    )  # fmt: skip
    return compute


def test_the_log_of_a_job_on_a_gpu_size_says_that_there_is_no_gpu(ml: MlWorkspace) -> None:
    serverless = submit(ml, "echo done", compute=None, instance_type="Standard_NC6s_v3")
    compute = _cluster(ml, "STANDARD_NC4AS_T4_V3")
    cluster = submit(ml, "echo done", compute=compute)
    plain = submit(ml, "echo done", compute=None, instance_type="Standard_DS3_v2")

    for name, asker in (
        (serverless, "the job has the size Standard_NC6s_v3"),
        (cluster, f"compute '{compute}' has the size STANDARD_NC4AS_T4_V3"),
    ):
        assert ml.finished(name).status == "Completed", error_of_run(ml, name)
        note, done = log_of(ml, name).splitlines()
        assert (done, note.startswith(f"localcloud: {asker}, which has GPUs")) == ("done", True), note
    assert ml.finished(plain).status == "Completed"
    assert log_of(ml, plain) == "done\n"


def test_a_submitted_job_keeps_its_command_but_accepts_tags_and_the_archive_mark(ml: MlWorkspace) -> None:
    name = submit(ml, "true", tags={"a": "1"})
    ml.finished(name)

    changed = ml.client.jobs.update(name, tags={"b": "2"}, display_name="shown")
    status, content = put_job(ml, job_body(ml, "false"), name)

    assert (changed.tags, changed.display_name) == ({"a": "1", "b": "2"}, "shown")
    assert (status, content["error"]["code"]) == (409, "Conflict")
    assert "exists already and its command" in content["error"]["message"]
    ml.client.jobs.archive(name)
    assert name not in {job.name for job in ml.client.jobs.list()}
    assert name in {job.name for job in ml.client.jobs.list(list_view_type="ArchivedOnly")}
    ml.client.jobs.restore(name)
    assert name in {job.name for job in ml.client.jobs.list()}


def test_jobs_are_listed_newest_first_and_by_tag_and_type(ml: MlWorkspace) -> None:
    mark = unique("mark")
    first, second = (submit(ml, "true", tags={mark: word}) for word in ("one", "two"))

    every = [job["name"] for job in ml.azure.arm("GET", f"{ml.id}/jobs", ML, tag=mark).json()["value"]]
    tagged = [job["name"] for job in ml.azure.arm("GET", f"{ml.id}/jobs", ML, tag=f"{mark}=one").json()["value"]]
    none = ml.azure.arm("GET", f"{ml.id}/jobs", ML, tag=mark, jobType="Pipeline").json()["value"]

    assert (every, tagged, none) == ([second, first], [first], [])
    for name in (first, second):
        ml.finished(name)


def test_a_running_job_is_not_deleted_and_a_finished_one_is(ml: MlWorkspace) -> None:
    name = submit(ml, "sleep 60")
    ml.in_state(name, "Running")

    refusal = ml.azure.arm("DELETE", f"{ml.id}/jobs/{name}", ML)
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (409, "Conflict")
    ml.client.jobs.begin_cancel(name).result()
    assert ml.azure.arm("DELETE", f"{ml.id}/jobs/{name}", ML).status_code == 200
    with pytest.raises(ResourceNotFoundError):
        ml.client.jobs.get(name)
    assert ml.azure.arm("DELETE", f"{ml.id}/jobs/{name}", ML).status_code == 204


def test_a_full_cluster_makes_jobs_wait_in_the_queue(ml: MlWorkspace) -> None:
    compute = _cluster(ml, "STANDARD_DS3_V2")
    first = submit(ml, "sleep 60", compute=compute)
    ml.in_state(first, "Running")

    second = submit(ml, "true", compute=compute)
    ml.in_state(second, "Queued")
    ml.client.jobs.begin_cancel(first).result()

    assert ml.finished(second).status == "Completed"


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of the gateway under a job")
def test_jobs_of_a_killed_localcloud_fail_with_the_reason_and_their_processes_are_terminated(
    ml: MlWorkspace, cloud: Cloud
) -> None:
    name = submit(ml, "echo pid=$$; exec sleep 300")
    log = wait_for(lambda: _log(ml, name), lambda text: "pid=" in text)
    pid = int(log.split("pid=")[1])
    gateway = json.loads(state_file(cloud.settings).read_text())["pid"]
    os.kill(gateway, signal.SIGKILL)
    started = cloud.command("start")

    assert started.returncode == 0, started.stdout + started.stderr
    assert ml.finished(name).status == "Failed"
    assert "localcloud was stopped while the job ran" in error_of_run(ml, name)[1]
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    again = submit(ml, f"{sys.executable} -c 'print(1)'")
    assert ml.finished(again).status == "Completed"


def test_stopping_localcloud_lets_running_commands_clean_up_with_their_identity(
    ml: MlWorkspace, cloud: Cloud, tmp_path: Path
) -> None:
    source = code(
        tmp_path / "src",
        main="import os, signal, sys, time\n"
        "from azure.identity import ManagedIdentityCredential\n"
        "def end(*_):\n"
        "    who = ManagedIdentityCredential(client_id=os.environ['DEFAULT_IDENTITY_CLIENT_ID'])\n"
        "    print('cleaned', bool(who.get_token('https://storage.azure.com/.default').token)); sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready')\n"
        "while True: time.sleep(0.1)\n",
    )
    step = component(ml, source, "exec python main.py")

    @pipeline(default_compute="cpu")
    def one_step() -> None:
        first = step()
        second = step()
        second.name = "second"
        first.name = "first"

    job = ml.client.jobs.create_or_update(one_step(), experiment_name="stopped")
    first = wait_for(lambda: list(ml.client.jobs.list(parent_job_name=job.name)), bool)[0].name
    wait_for(lambda: _log(ml, first), lambda text: "ready" in text)

    assert cloud.command("stop").returncode == 0
    assert cloud.command("start").returncode == 0

    assert ml.client.jobs.get(job.name).status == "Failed"
    assert "localcloud was stopped while the job ran" in error_of_run(ml, first)[1]
    assert "cleaned True" in log_of(ml, first)


def _log(ml: MlWorkspace, name: str) -> str:
    return log_of(ml, name) if "user_logs/std_log.txt" in details(ml, name)["logFiles"] else ""
