"""Runs of notebooks in real Spark through the real client. Each Spark JVM takes seconds: tests share runs."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotImplemented, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service import compute, iam, jobs
from databricks.sdk.service.jobs import RunLifeCycleState, RunResultState
from databricks.sdk.service.workspace import ImportFormat

RUNTIME = "17.3.x-scala2.13"

MAIN = b"""# Databricks notebook source
# MAGIC %md
# MAGIC # What a notebook can do

# COMMAND ----------

# MAGIC %run ./setup

# COMMAND ----------

import json
import os
import tempfile

from lib.rows import clean

dbutils.widgets.text("rows", "1")
dbutils.widgets.dropdown("mode", "plain", ["plain", "fail"])
rows = int(dbutils.widgets.get("rows"))
frame = clean(spark.createDataFrame([(n, None if n % 2 else 1.0) for n in range(rows)], "a INT, b DOUBLE"))
frame.createOrReplaceTempView("frame")
display(frame)

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT count(*) AS left FROM frame

# COMMAND ----------

secret = dbutils.secrets.get(dbutils.widgets.get("scope"), "key")
print("the secret is", secret)
if dbutils.widgets.get("mode") == "fail":
    raise ValueError(f"cannot use {rows} rows with {secret}")

# COMMAND ----------

folder = "file:" + os.getcwd() + "/files"
dbutils.fs.mkdirs(folder)
dbutils.fs.put(folder + "/a.txt", "hello world")
dbutils.fs.cp(folder + "/a.txt", folder + "/b.txt")
dbutils.fs.rm(folder + "/a.txt")
(file,) = dbutils.fs.ls(folder)
child = dbutils.notebook.run("./child", 60, {"x": 20})
dbutils.notebook.exit(json.dumps({
    "left": _sqldf.collect()[0]["left"],
    "from_run": FROM_RUN,
    "child": int(child),
    "secret_length": len(secret),
    "same_by_variable": os.environ["FROM_SCOPE"] == secret,
    "conf": spark.conf.get("spark.sql.shuffle.partitions"),
    "variable": os.environ["TEAM"],
    "file": [file.name, file.size, dbutils.fs.head(folder + "/b.txt", 5)],
    "notebook": dbutils.notebook.getContext().notebookPath().get(),
    "scratch": [tempfile.gettempdir(), spark._jvm.java.lang.System.getProperty("java.io.tmpdir")],
}))

# COMMAND ----------

raise AssertionError("nothing runs after exit")
"""
SETUP = b"# Databricks notebook source\nFROM_RUN = 'shared namespace'\n"
CHILD = b"# Databricks notebook source\ndbutils.notebook.exit(int(dbutils.widgets.get('x')) + 1)\n"
LIB = b"def clean(frame):\n    return frame.dropna()\n"
SLEEPER = b"# Databricks notebook source\nimport time\nprint('asleep')\ntime.sleep(600)\n"


@pytest.fixture(scope="module")
def notebooks(admin: WorkspaceClient) -> Iterator[str]:
    folder = f"/Shared/runs-{uuid.uuid4().hex[:6]}"
    admin.workspace.mkdirs(f"{folder}/lib")
    for name, content in {"main": MAIN, "setup": SETUP, "child": CHILD, "sleeper": SLEEPER, "lib/rows": LIB}.items():
        admin.workspace.upload(f"{folder}/{name}.py", content, format=ImportFormat.AUTO)
    yield folder
    admin.workspace.delete(folder, recursive=True)


@pytest.fixture(scope="module")
def pool(admin: WorkspaceClient) -> Iterator[str]:
    name = f"runs-{uuid.uuid4().hex[:6]}"
    pool_id = admin.instance_pools.create(
        name, "Standard_DS3_v2", idle_instance_autotermination_minutes=10, preloaded_spark_versions=[RUNTIME]
    ).instance_pool_id
    assert pool_id is not None
    yield pool_id
    admin.instance_pools.delete(pool_id)


@pytest.fixture(scope="module")
def policy(admin: WorkspaceClient, pool: str) -> Iterator[str]:
    definition = {
        "cluster_type": {"type": "fixed", "value": "job"},
        "spark_version": {"type": "allowlist", "values": [RUNTIME], "defaultValue": RUNTIME},
        "instance_pool_id": {"type": "fixed", "value": pool},
        "num_workers": {"type": "fixed", "value": 0},
        "spark_conf.spark.databricks.cluster.profile": {"type": "fixed", "value": "singleNode"},
        "spark_conf.spark.sql.shuffle.partitions": {"type": "range", "maxValue": 64, "isOptional": True},
        "custom_tags.ResourceClass": {"type": "fixed", "value": "SingleNode"},
    }
    name = f"runs-{uuid.uuid4().hex[:6]}"
    policy_id = admin.cluster_policies.create(name=name, definition=json.dumps(definition)).policy_id
    assert policy_id is not None
    yield policy_id
    admin.cluster_policies.delete(policy_id)


@pytest.fixture(scope="module")
def scope(admin: WorkspaceClient) -> Iterator[str]:
    name = f"runs-{uuid.uuid4().hex[:6]}"
    admin.secrets.create_scope(name)
    admin.secrets.put_secret(name, "key", string_value="hunter2-hunter2")
    yield name
    admin.secrets.delete_scope(name)


def task(path: str, policy: str, key: str = "main", *, after: str | None = None, **parameters: str) -> jobs.SubmitTask:
    scope = parameters.get("scope")
    secret = {"FROM_SCOPE": f"{{{{secrets/{scope}/key}}}}"} if scope else {}
    return jobs.SubmitTask(
        task_key=key,
        notebook_task=jobs.NotebookTask(path, base_parameters=parameters),
        new_cluster=compute.ClusterSpec(
            policy_id=policy,
            spark_version=RUNTIME,
            spark_conf={"spark.sql.shuffle.partitions": "3"},
            spark_env_vars={"TEAM": "ml", **secret},
        ),
        depends_on=[jobs.TaskDependency(after)] if after else None,
    )


def submit(
    client: WorkspaceClient, *tasks: jobs.SubmitTask, timeout_seconds: int | None = None, token: str = ""
) -> int:
    waiter = client.jobs.submit(
        run_name="test", tasks=list(tasks), timeout_seconds=timeout_seconds, idempotency_token=token or None
    )
    return int(waiter.bind()["run_id"])


def finished(client: WorkspaceClient, run_id: int) -> jobs.Run:
    return client.jobs.wait_get_run_job_terminated_or_skipped(run_id, timeout=timedelta(minutes=2))


def until(client: WorkspaceClient, run_id: int, state: RunLifeCycleState) -> jobs.Run:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        run = client.jobs.get_run(run_id)
        if run.state is not None and run.state.life_cycle_state == state:
            return run
        time.sleep(0.1)
    raise AssertionError(f"run {run_id} never was {state}")


def test_a_notebook_runs_and_its_failure_is_its_own(
    admin: WorkspaceClient, notebooks: str, policy: str, scope: str
) -> None:
    """Two tasks: the second fails, so a third is skipped; one run shows success, failure and skipping."""
    started = time.monotonic()
    run_id = submit(
        admin,
        task(f"{notebooks}/main", policy, "good", rows="4", scope=scope),
        task(f"{notebooks}/main", policy, "bad", after="good", rows="7", mode="fail", scope=scope),
        task(f"{notebooks}/main", policy, "never", after="bad", scope=scope),
        token=(token := uuid.uuid4().hex),
    )
    assert submit(admin, task(f"{notebooks}/main", policy), token=token) == run_id, "a token starts one run"
    first = admin.jobs.get_run(run_id)
    assert first.status is not None and first.status.state is not None
    assert first.status.state.value in ("PENDING", "RUNNING")
    run = finished(admin, run_id)
    assert run.state is not None and run.tasks is not None
    assert (run.state.life_cycle_state, run.state.result_state) == (RunLifeCycleState.TERMINATED, RunResultState.FAILED)
    assert run.state.state_message == (
        "Task bad failed with message: Workload failed, see run output for details."
        " This caused all downstream tasks to get skipped."
    )
    good, bad, never = run.tasks
    output = admin.jobs.get_run_output(good.run_id or 0)
    assert output.notebook_output is not None and output.error is None
    result = json.loads(output.notebook_output.result or "")
    python_scratch, java_scratch = map(Path, result.pop("scratch"))
    assert python_scratch == java_scratch and "drivers" in java_scratch.parts, "not the machine's temporary folder"
    assert not java_scratch.parent.exists(), "what a run leaves half done goes with its driver"
    assert result == {
        "left": 2,
        "from_run": "shared namespace",
        "child": 21,
        "secret_length": 15,
        "same_by_variable": True,
        "conf": "3",
        "variable": "ml",
        "file": ["b.txt", 11, "hello"],
        "notebook": f"{notebooks}/main",
    }
    failed = admin.jobs.get_run_output(bad.run_id or 0)
    assert failed.error == "ValueError: cannot use 7 rows with [REDACTED]"
    assert f"cell 5 of {notebooks}/main, line 4" in (failed.error_trace or "")
    assert '----> 4 raise ValueError(f"cannot use {rows} rows with {secret}")' in (failed.error_trace or "")
    assert never.state is not None and never.state.result_state == RunResultState.UPSTREAM_FAILED
    with pytest.raises(InvalidParameterValue, match="output of each individual task run instead"):
        admin.jobs.get_run_output(run_id)
    assert run_id in {item.run_id for item in admin.jobs.list_runs(completed_only=True)}
    page = requests.get(f"{admin.config.host}/_localcloud/databricks/runs/{run_id}", timeout=10).text
    assert "the secret is [REDACTED]" in page and "hunter2" not in page
    assert "Task bad: <span class='FAILED'>" in page
    assert time.monotonic() - started < 120


@pytest.mark.nightly
def test_a_running_notebook_is_cancelled_or_timed_out_and_leaves_no_process(
    admin: WorkspaceClient, notebooks: str, policy: str, pool: str
) -> None:
    run_id = submit(admin, task(f"{notebooks}/sleeper", policy))
    until(admin, run_id, RunLifeCycleState.RUNNING)
    stats = admin.instance_pools.get(pool).stats
    assert stats is not None and stats.used_count == 1
    run = admin.jobs.cancel_run_and_wait(run_id)
    assert run.state is not None
    assert (run.state.result_state, run.state.state_message) == (RunResultState.CANCELED, "Run cancelled.")
    assert run.state.user_cancelled_or_timedout is True
    run = finished(admin, submit(admin, task(f"{notebooks}/sleeper", policy), timeout_seconds=1))
    assert run.state is not None
    assert (run.state.life_cycle_state, run.state.result_state) == (
        RunLifeCycleState.TERMINATED,
        RunResultState.TIMEDOUT,
    )
    stats = admin.instance_pools.get(pool).stats
    assert stats is not None and not stats.used_count
    admin.jobs.delete_run(run_id)
    with pytest.raises(ResourceDoesNotExist, match=f"Run {run_id} does not exist"):
        admin.jobs.get_run(run_id)


def test_a_submission_that_breaks_its_policy_is_refused_at_once(
    admin: WorkspaceClient, notebooks: str, policy: str
) -> None:
    broken = task(f"{notebooks}/main", policy)
    assert broken.new_cluster is not None
    broken.new_cluster.num_workers = 3
    broken.new_cluster.spark_conf = {"spark.sql.shuffle.partitions": "200"}
    with pytest.raises(InvalidParameterValue) as caught:
        submit(admin, broken)
    assert 'Validation failed for num_workers, the value must be 0 (is "3")' in str(caught.value)
    assert 'spark_conf, spark.sql.shuffle.partitions, the value must be at most 64 (is "200")' in str(caught.value)
    twice = task(f"{notebooks}/main", policy)
    with pytest.raises(InvalidParameterValue, match="Duplicate task key main"):
        submit(admin, twice, twice)
    with pytest.raises(InvalidParameterValue, match="depends on other, which is not a task"):
        submit(admin, task(f"{notebooks}/main", policy, after="other"))
    wheel = jobs.SubmitTask(task_key="w", python_wheel_task=jobs.PythonWheelTask("e", "p"))
    with pytest.raises(NotImplemented, match=r"python_wheel_task \(task w\)"):
        submit(admin, wheel)


def test_a_principal_needs_the_policy_the_pool_and_the_notebook(
    admin: WorkspaceClient, member: WorkspaceClient, notebooks: str, policy: str, pool: str
) -> None:
    """Each permission that is missing stops the run in turn; nothing here starts Spark."""
    me = member.current_user.me().user_name

    def allow(type_: str, id_: str, level: iam.PermissionLevel) -> None:
        entry = iam.AccessControlRequest(service_principal_name=me, permission_level=level)
        admin.permissions.update(type_, id_, access_control_list=[entry])

    run = task("/Users/nobody/private", policy)
    with pytest.raises(PermissionDenied, match="CAN_USE permission on cluster policy"):
        submit(member, run)
    allow("cluster-policies", policy, iam.PermissionLevel.CAN_USE)
    with pytest.raises(PermissionDenied, match="CAN_ATTACH_TO permission on instance pool"):
        submit(member, run)
    allow("instance-pools", pool, iam.PermissionLevel.CAN_ATTACH_TO)
    bare = jobs.SubmitTask(
        task_key="bare",
        notebook_task=jobs.NotebookTask(f"{notebooks}/main"),
        new_cluster=compute.ClusterSpec(spark_version=RUNTIME, node_type_id="Standard_DS3_v2", num_workers=1),
    )
    with pytest.raises(PermissionDenied, match="not authorized to create clusters without a cluster policy"):
        submit(member, bare)
    run_id = submit(member, run)
    state = until(admin, run_id, RunLifeCycleState.INTERNAL_ERROR).state
    assert state is not None and 'Unable to access the notebook "/Users/nobody/private"' in (state.state_message or "")
