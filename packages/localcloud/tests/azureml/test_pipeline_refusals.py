"""Pipelines that Azure ML refuses, by plain requests where azure-ai-ml's DSL cannot make the mistake.

No `from __future__ import annotations` here: the DSL reads the annotations of pipeline functions.
"""

from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output
from azure.ai.ml.entities import Component
from azure.ai.ml.parallel import RunFunction, parallel_run_function
from azure.core.exceptions import HttpResponseError
from localcloud.core.json import Json
from localcloud.testing.azure_session import unique
from localcloud.testing.job_sources import (
    code,
    pipeline,
    refused,
)
from localcloud.testing.pipeline_steps import step as step
from localcloud.testing.workspace_session import MlWorkspace
from localcloud.testing.workspace_session import ml as ml


def pipeline_body(ml: MlWorkspace, jobs: Json, **properties: Any) -> Json:
    body: Json = {
        "jobType": "Pipeline",
        "jobs": jobs,
        "settings": {"default_compute": f"{ml.id}/computes/cpu"},
        "experimentName": "pipelines",
    }
    return {"properties": body | properties}


def node(step: Component, **inputs: object) -> Json:
    return {
        "componentId": step.id,
        "type": "command",
        "inputs": {name: {"job_input_type": "literal", "value": value} for name, value in inputs.items()},
    }


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ({"a": {}}, "The required input 'word' of job '/a' is missing."),
        ({"a": {"word": "x", "other": "y"}}, "has no input 'other': its inputs are before, word."),
        ({"a": {"word": "${{parent.inputs.none}}"}}, "the pipeline has no input 'none'"),
        ({"a": {"word": "${{parent.jobs.b.outputs.words}}"}}, "outputs of job 'b', which does not exist"),
        (
            {"a": {"word": "x"}, "b": {"word": "x", "before": "${{parent.jobs.a.outputs.none}}"}},
            "the job 'a' has no output 'none'",
        ),
        ({"a": {"word": "x"}, "b": {"word": "${{parent.jobs.a.outputs.words}}"}}, "but it is given a uri_folder"),
        ({"a": {"word": "x", "before": "text"}}, "but it is given the literal 'text'"),
        ({"a": {"word": "${{nonsense}}"}}, "The expression '${{nonsense}}' is not valid"),
        (
            {
                "a": {"word": "x", "before": "${{parent.jobs.b.outputs.words}}"},
                "b": {"word": "x", "before": "${{parent.jobs.a.outputs.words}}"},
            },
            "has a cycle: a, b wait for each other",
        ),
        ({}, "has no jobs"),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused_before_anything_runs(
    ml: MlWorkspace, step: Component, nodes: dict[str, dict[str, object]], reason: str
) -> None:
    body = pipeline_body(ml, {name: node(step, **inputs) for name, inputs in nodes.items()})

    status, code_, message = refused(ml, body)

    assert (status, code_, reason in message) == (400, "UserError", True), message


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"type": "sweep"}, 501, "pipeline steps of type 'sweep' (/a)"),
        ({"componentId": "azureml:nothing:1"}, 400, "The component of '/a' is not there"),
        ({"computeId": "nowhere"}, 400, "The compute 'nowhere' of job '/a'"),
        ({"outputs": {"none": {"mode": "Upload"}}}, 400, "its component has no output 'none'"),
        ({"outputs": {"words": {"value": "${{parent.outputs.none}}"}}}, 400, "which the pipeline does not have"),
    ],
)
def test_a_step_that_cannot_run_is_refused(
    ml: MlWorkspace, step: Component, change: Json, status: int, reason: str
) -> None:
    part = node(step, word="x")
    if "type" in change:
        part = {"inputs": {}}

    actual_status, _, message = refused(ml, pipeline_body(ml, {"a": part | change}))

    assert (actual_status, reason in message) == (status, True), message


def test_parallel_steps_are_not_emulated_whether_their_component_is_registered_or_not(
    ml: MlWorkspace, tmp_path: Path
) -> None:
    source = code(tmp_path / "src", main="def init(): pass\ndef run(batch): return batch\n")
    each_file = parallel_run_function(
        name=unique("each"), inputs={"data": Input(type="uri_folder")}, outputs={"rows": Output(type="uri_file")},
        input_data="${{inputs.data}}", instance_count=1, mini_batch_size="1",
        task=RunFunction(
            code=str(source), entry_script="main.py", environment=ml.environment, append_row_to="${{outputs.rows}}"
        ),
    )  # fmt: skip

    @pipeline(default_compute="cpu")
    def parallel() -> None:
        each_file(data=Input(type="uri_folder", path="azureml://datastores/workspaceblobstore/paths/x"))

    with pytest.raises(HttpResponseError) as refusal:
        ml.client.jobs.create_or_update(parallel())
    status, code_, message = refused(ml, pipeline_body(ml, {"a": {"type": "parallel", "task": {}, "inputs": {}}}))

    assert refusal.value.status_code == 501
    assert refusal.value.error is not None
    assert refusal.value.error.code == "NotImplemented"
    assert "components of type 'parallel'" in str(refusal.value.message)
    assert (status, code_) == (501, "NotImplemented")
    assert "pipeline steps of type 'parallel' (/a)" in message


def test_an_output_that_no_step_makes_is_refused(ml: MlWorkspace, step: Component) -> None:
    outputs = {"all": {"jobOutputType": "uri_folder"}}

    status, _, message = refused(ml, pipeline_body(ml, {"a": node(step, word="x")}, outputs=outputs))

    assert (status, message.split(" of pipeline ")[0]) == (400, "The output 'all'")
    assert message.endswith("is not bound to an output of a job.")


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ({"type": "integer"}, "1.5", "The value '1.5' of input 'x' is not an integer"),
        ({"type": "integer", "min": 2}, "1", "is below the minimum of 2"),
        ({"type": "number"}, "many", "The value 'many' of input 'x' is not a number"),
        ({"type": "number", "max": 1}, "1.1", "is above the maximum of 1"),
        ({"type": "boolean"}, "perhaps", "is not a boolean"),
        ({"type": "enum", "enum": ["a", "b"]}, "c", "is not one of a, b"),
    ],
)
def test_a_literal_of_another_type_is_refused(ml: MlWorkspace, kind: Json, value: str, reason: str) -> None:
    inline = {
        "type": "command",
        "component": {
            "type": "command", "command": "echo ${{inputs.x}}", "environment": ml.environment, "inputs": {"x": kind},
        },
        "inputs": {"x": {"job_input_type": "literal", "value": value}},
    }  # fmt: skip

    status, code_, message = refused(ml, pipeline_body(ml, {"a": inline}))

    assert (status, code_, reason in message) == (400, "UserError", True), message
