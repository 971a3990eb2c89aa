"""Keys of reuse, and inputs of a resumed run."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from azure.ai.ml import load_component
from rich.console import Console

from contract.outputs import PlatformOutputs
from mlops import jobs, pipeline, publish, published_components, resume, reuse_keys, runs, specifications, up
from mlops import serving_version as serving_versions
from mlops.errors import InvalidError
from mlops.jobs import Job
from mlops.serving_version import ServingVersion
from steps.data_contract import DataContract
from tests import samples

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAYS = 90
ADDRESS = "abfss://trainingdata@st.dfs.core.windows.net/data/abc/data.csv"


def test_runs_on_the_same_data_share_a_key_for_half_of_the_retention_of_engineered_data() -> None:
    keys = [reuse_keys.shared(ADDRESS, "abc", DAYS, NOW + timedelta(days=days)) for days in range(DAYS + 1)]
    lasted = max(keys.count(key) for key in keys)

    assert keys[0] == reuse_keys.shared(ADDRESS, "abc", DAYS, NOW)
    assert lasted == DAYS // 2, "data that the rule is about to delete are not reused"
    assert reuse_keys.shared(ADDRESS, "abc", 1, NOW) != reuse_keys.shared(ADDRESS, "abc", 1, NOW + timedelta(hours=12))
    assert keys[0] != reuse_keys.shared(ADDRESS, "abc", DAYS + 1, NOW)


@pytest.mark.parametrize(("address", "days"), [("abfss://c@st.dfs.core.windows.net/newest.csv", DAYS), (ADDRESS, None)])
def test_an_address_whose_content_can_change_and_an_unknown_retention_reuse_nothing(
    address: str, days: int | None
) -> None:
    assert reuse_keys.shared(address, "abc", days, NOW) != reuse_keys.shared(address, "abc", days, NOW)


def test_each_shipped_component_declares_whether_it_is_deterministic() -> None:
    declarations = {
        (pipeline, step): yaml.safe_load((folder / "component.yml").read_text()).get("is_deterministic")
        for pipeline in specifications.names()
        for step, folder in published_components.folders(specifications.load(pipeline)).items()
    }

    assert {step for (_, step), value in declarations.items() if value is None} == set(), (
        "azure-ai-ml's default is true"
    )
    assert {step for (_, step), value in declarations.items() if value is False} >= {"evaluate", "register"}
    assert {step for (_, step), value in declarations.items() if value} >= {"run_databricks_notebook", "train"}


JOB = Job(
    "run-1", "Failed", "417", "abc", "https://page", created=NOW - timedelta(days=10),
    inputs={
        "data_uri": ADDRESS, "data_version": "abc", "code_version": "417", "reuse_key": "90d-457", "alpha": "0.3",
        "trees": "100", "scale": "True", "gone": "1",
    },
)  # fmt: skip
TYPES = {
    "data_uri": "string", "data_version": "string", "code_version": "string", "reuse_key": "string", "alpha": "number",
    "trees": "integer", "scale": "boolean",
}  # fmt: skip


def _resumed(monkeypatch: pytest.MonkeyPatch, job: Job, days: int | None = DAYS) -> tuple[dict[str, Any], str, str]:
    """Return inputs and key of the started run, and the output."""
    begun: list[tuple[dict[str, Any], str]] = []
    monkeypatch.setattr(runs, "job", lambda clients, name: job)
    monkeypatch.setattr(publish, "of_version", lambda clients, version: publish.Published("v-417", {}, "id"))
    monkeypatch.setattr(publish, "inputs_of", lambda clients, deployment: TYPES)
    monkeypatch.setattr(up, "begin", lambda clients, now, inputs, key, console: begun.append((inputs, key)))
    clients: Any = SimpleNamespace(outputs=SimpleNamespace(engineered_days=days), options="--stack dev --pipeline x")
    text = io.StringIO()
    resume.resume(clients, "run-1", Console(file=text), NOW)
    return *begun[0], text.getvalue()


def test_a_failed_run_is_resumed_with_its_own_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, key, printed = _resumed(monkeypatch, JOB)

    assert (key, printed) == ("90d-457", "")
    assert (inputs["alpha"], inputs["trees"], inputs["scale"]) == (0.3, 100, True)
    assert inputs["data_uri"] == ADDRESS and "gone" not in inputs


@pytest.mark.parametrize(
    ("job", "days"),
    [
        (replace(JOB, created=NOW - timedelta(days=45)), DAYS),
        (JOB, None),
        (replace(JOB, created=None), DAYS),
        (replace(JOB, inputs={}), DAYS),
    ],
)
def test_a_run_whose_data_may_be_deleted_runs_all_its_steps(
    monkeypatch: pytest.MonkeyPatch, job: Job, days: int | None
) -> None:
    _, key, printed = _resumed(monkeypatch, job, days)

    assert key != "90d-457"
    assert printed == "The outputs of its steps may have been deleted: all steps run again.\n"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            "Completed",
            "Run run-1 completed: there is nothing to resume. `python -m mlops run --stack dev --pipeline x`",
        ),
        (
            "Running",
            "Run run-1 is under way (Running): wait for its end, or stop it with `python -m mlops cancel --run",
        ),
    ],
)
def test_only_a_run_that_ended_without_success_is_resumed(
    monkeypatch: pytest.MonkeyPatch, status: str, message: str
) -> None:
    with pytest.raises(InvalidError, match=re.escape(message)):
        _resumed(monkeypatch, replace(JOB, status=status))


@pytest.mark.parametrize(("declared", "passed"), [({"data_uri", "reuse_key"}, True), ({"data_uri"}, False)])
def test_a_version_that_was_published_earlier_has_no_key(
    monkeypatch: pytest.MonkeyPatch, declared: set[str], passed: bool
) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(publish, "inputs_of", lambda clients, deployment: dict.fromkeys(declared, "string"))

    def start(clients: Any, deployment: str, inputs: dict[str, Any]) -> Job:
        started.append(inputs)
        return JOB

    monkeypatch.setattr(jobs, "start", start)
    monkeypatch.setattr(up, "finish", lambda clients, job, console: None)
    clients: Any = None

    up.begin(clients, publish.Published("v-1", {}, "id"), {"data_uri": ADDRESS}, "key", Console(file=io.StringIO()))

    assert started == [{"data_uri": ADDRESS} | ({"reuse_key": "key"} if passed else {})]


@pytest.mark.parametrize(
    ("serving", "number"), [(ServingVersion("7", {}), "7"), (None, "none")], ids=["version 7 serves", "none serves"]
)
def test_the_serving_version_is_an_input_so_that_the_check_of_drift_is_reused_truthfully(
    monkeypatch: pytest.MonkeyPatch, serving: ServingVersion | None, number: str
) -> None:
    started: list[dict[str, Any]] = []
    declared = dict.fromkeys(("data_uri", "serving_version"), "string")
    monkeypatch.setattr(publish, "inputs_of", lambda clients, deployment: declared)
    monkeypatch.setattr(serving_versions, "find", lambda clients: serving)

    def start(clients: Any, deployment: str, inputs: dict[str, Any]) -> Job:
        started.append(inputs)
        return JOB

    monkeypatch.setattr(jobs, "start", start)
    monkeypatch.setattr(up, "finish", lambda clients, job, console: None)
    clients: Any = None
    earlier = {"data_uri": ADDRESS, "serving_version": "3"}

    up.begin(clients, publish.Published("v-1", {}, "id"), earlier, "key", Console(file=io.StringIO()))

    assert started == [{"data_uri": ADDRESS, "serving_version": number}], "a resumed run compares with what serves now"


@pytest.mark.parametrize(
    ("contract", "default"),
    [
        ({"drift": {"limit": 0.25, "severity": "error"}}, "champion"),
        ({"columns": {"bmi": {"drift": {"limit": 0.1, "severity": "error"}}}}, "champion"),
        ({"columns": {"bmi": {"drift": 0.1}}}, None),
    ],
)
def test_a_published_pipeline_names_the_serving_version_where_drift_ends_runs(
    outputs: PlatformOutputs, contract: dict[str, Any], default: str | None
) -> None:
    shipped = specifications.load("diabetes", samples.PIPELINES)
    specification = shipped.specification.model_copy(update={"data_contract": DataContract.model_validate(contract)})
    training = replace(shipped, specification=specification)
    components = {
        step: load_component(source=folder / "component.yml")
        for step, folder in published_components.folders(shipped).items()
    }

    built = pipeline.build(training, components, outputs, "/notebooks/features", "v1", "c0ffee")

    jobs_of = built.component.jobs
    compared_with = jobs_of["check_data"]._build_inputs()["serving_version"]
    if default is None:
        assert "serving_version" not in built.component.inputs and compared_with == "none"
    else:
        assert built.component.inputs["serving_version"].default == default
        assert compared_with["path"] == "${{parent.inputs.serving_version}}"
    checked = jobs_of["train"]._build_inputs()["checked"]
    assert checked["path"] == "${{parent.jobs.check_data.outputs.checked}}", "train waits for the check"
