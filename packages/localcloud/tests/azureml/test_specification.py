"""Specifications of jobs: both spellings, plain values, and refusals by path, without a localcloud."""

from __future__ import annotations

import pytest
from localcloud.azureml.jobs import graph
from localcloud.azureml.jobs.specification import ComponentSpec, JobSpec, StepSpec, parse
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json

STEP: Json = {
    "type": "command",
    "computeId": "cpu",
    "componentId": {"command": "true", "environment": "azureml:training:1", "inputs": {"word": {"type": "string"}}},
    "displayName": "First",
    "environmentVariables": {"A": "1"},
    "resources": {"instanceCount": 1, "instanceType": "Standard_DS3_v2"},
    "limits": {"timeout": "PT1M"},
    "identity": {"identityType": "Managed", "clientId": "AB"},
    "inputs": {"word": {"jobInputType": "Literal", "value": "x"}},
    "outputs": {"rows": {"jobOutputType": "UriFolder", "mode": "ReadWriteMount", "assetName": "rows"}},
}
SNAKE: Json = {
    "type": "command",
    "compute": "cpu",
    "component": {"command": "true", "environment": "azureml:training:1", "inputs": {"word": "string"}},
    "display_name": "First",
    "environment_variables": {"A": "1"},
    "resources": {"instance_count": "1", "instance_type": "Standard_DS3_v2"},
    "limits": {"timeout": 60},
    "identity": {"type": "Managed", "client_id": "AB"},
    "inputs": {"word": {"job_input_type": "literal", "value": "x"}},
    "outputs": {"rows": {"type": "uri_folder", "mode": "rw_mount", "name": "rows"}},
}


def test_both_spellings_are_the_same_step() -> None:
    step = parse(StepSpec, STEP, "jobs.a")

    assert step == parse(StepSpec, SNAKE, "jobs.a")
    assert isinstance(step.component, ComponentSpec)
    assert step.limits is not None
    assert step.limits.timeout == 60
    assert step.identity is not None
    assert step.identity.ids == {"ab"}
    assert (step.outputs["rows"].kind, step.outputs["rows"].mode) == ("uri_folder", "rw_mount")


def test_null_and_empty_objects_are_no_value() -> None:
    step = parse(StepSpec, {"componentId": None, "component": "azureml:a:1", "resources": {}, "limits": None}, "jobs.a")

    assert (step.component, step.resources, step.limits) == ("azureml:a:1", None, None)


def test_groups_of_inputs_are_named_by_their_path() -> None:
    content = {"inputs": {"rates": {"type": "group", "values": {"low": {"type": "number", "optional": "True"}}}}}

    component = parse(ComponentSpec, content, "componentSpec")

    assert list(component.inputs) == ["rates.low"]
    assert component.inputs["rates.low"].optional is True


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"jobs": {"a": {"component": 5}}}, "properties.jobs.a.component must be a string, not 5."),
        (
            {"jobs": {"a": {"component": {"environment_variables": 5}}}},
            "properties.jobs.a.component.environment_variables must be an object, not 5.",
        ),
        ({"settings": {"continueOnStepFailure": "maybe"}}, "continueOnStepFailure must be true or false, not 'maybe'."),
        ({"limits": {"timeout": "soon"}}, "properties.limits.timeout is not valid: 'soon' is not an ISO 8601 duration"),
        ({"inputs": {"a": {"uri": 5}}}, "properties.inputs.a.uri must be a string, not 5."),
        ([], "properties must be an object, not []."),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_path(content: object, message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        parse(JobSpec, content, "properties")

    assert (refusal.value.status, refusal.value.code) == (400, "UserError")
    assert message in refusal.value.message


def steps(**needs: str) -> dict[str, StepSpec]:
    """Return steps by name, each with inputs from the steps in its value."""
    return {
        name: parse(
            StepSpec,
            {"inputs": {before: f"${{{{parent.jobs.{before}.outputs.rows}}}}" for before in text.split()}},
            f"jobs.{name}",
        )
        for name, text in needs.items()
    }


def test_steps_follow_their_dependencies_and_otherwise_the_order_of_the_request() -> None:
    assert graph.ordered(steps(d="b c", c="a", b="a", a="", e=""), "/p") == ["a", "e", "c", "b", "d"]


def test_only_the_members_of_a_cycle_are_named() -> None:
    with pytest.raises(ServiceError) as refusal:
        graph.ordered(steps(a="", b="a c", c="b", d="c"), "/p")

    assert refusal.value.message == "The pipeline '/p' has a cycle: b, c wait for each other."
