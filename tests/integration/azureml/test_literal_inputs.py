"""Literal inputs reach a program by variables, and the shell by the command's placeholders alone: no value is code.

No `from __future__ import annotations` here: the DSL reads the annotations of pipeline functions.
"""

import json
from pathlib import Path

import pytest
from azure.ai.ml import Input, load_component
from localcloud.testing.azure_session import unique
from localcloud.testing.job_sources import code, component, error_of_run, job_body, log_of, pipeline, put_job
from localcloud.testing.workspace_session import MlWorkspace
from localcloud.testing.workspace_session import ml as ml

from mlops import published_components, specifications
from tests import samples

_SHOW = """
import json, os, sys
names = ("AZUREML_PARAMETER_", "AZURE_ML_INPUT_", "AZURE_ML_OUTPUT_")
print("SHOWN " + json.dumps({name: value for name, value in os.environ.items() if name.startswith(names)}))
"""
FOLDERS = sorted({**published_components.folders(specifications.load("diabetes", samples.PIPELINES))}.values())


def variables_of(ml: MlWorkspace, run: str) -> dict[str, str]:
    """Return the variables of inputs and outputs in a step that runs _SHOW."""
    (line,) = (line for line in log_of(ml, run).splitlines() if line.startswith("SHOWN "))
    inputs: dict[str, str] = json.loads(line.removeprefix("SHOWN "))
    return inputs


def hostile(folder: Path) -> str:
    """Text that makes a file in `folder` wherever a shell reads it, quoted or not."""
    command = f"touch {folder}/made"
    return f"a b$({command})`{command}`';{command};'\"; {command}; \"\n{command}\n*.csv"


def test_a_command_reads_its_literal_inputs_unchanged_from_variables(ml: MlWorkspace, tmp_path: Path) -> None:
    source = code(tmp_path / "src", show=_SHOW)
    step = component(
        ml, source, "python show.py $[[${{inputs.left_out}}]]",
        inputs={
            "text": Input(type="string"), "number": Input(type="number", default=0.5),
            "switch": Input(type="boolean"), "left_out": Input(type="string", optional=True),
        },
    )  # fmt: skip

    @pipeline(default_compute=ml.compute)
    def literal(text: str):  # type: ignore[no-untyped-def]
        step(text=text, switch=True)

    text = hostile(tmp_path)
    job = ml.finished(ml.client.jobs.create_or_update(literal(text=text)).name)

    assert job.status == "Completed", error_of_run(ml, job.name)
    (run,) = (child.name for child in ml.client.jobs.list(parent_job_name=job.name))
    assert variables_of(ml, run) == {
        "AZUREML_PARAMETER_text": text, "AZUREML_PARAMETER_number": "0.5", "AZUREML_PARAMETER_switch": "True",
    }  # fmt: skip
    assert not (tmp_path / "made").exists()


def test_a_value_in_a_placeholder_is_shell_code_as_on_azure(ml: MlWorkspace, tmp_path: Path) -> None:
    """The reason for the variables: a component that names a literal input in its command runs code in the value."""
    inputs = {"name": {"jobInputType": "literal", "value": f"x$(touch {tmp_path}/made)"}}
    status, job = put_job(ml, job_body(ml, 'echo "${{inputs.name}}"', inputs=inputs))

    assert status == 201, job
    assert ml.finished(job["name"]).status == "Completed"
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_value_of_an_invoker_is_run_by_a_published_component(ml: MlWorkspace, tmp_path: Path, folder: Path) -> None:
    """Test the product's command on a batch endpoint, with a program that shows its arguments."""
    specification = load_component(source=folder / "component.yml")
    program = next(word for word in specification.command.split() if word.endswith(".py")).removesuffix(".py")
    specification.code = str(code(tmp_path / "src", **{program: _SHOW}))
    specification.name, specification.environment = unique(folder.name), ml.environment
    step = ml.client.components.create_or_update(specification)
    texts = [port for port, input_ in specification.inputs.items() if input_.type == "string"]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/MLmodel").write_text("model_uuid: none\n")
    folders = {
        port: Input(type=input_.type, path=str(tmp_path / "data"))
        for port, input_ in specification.inputs.items()
        if input_.type not in {"string", "number", "integer"}
    }

    @pipeline(default_compute=ml.compute, name=unique("outer"))
    def outer(text: str):  # type: ignore[no-untyped-def]
        step(**dict.fromkeys(texts, text), **folders)

    text = hostile(tmp_path)
    job = ml.finished(ml.client.jobs.create_or_update(outer(text=text)).name)

    assert job.status == "Completed", error_of_run(ml, job.name)
    (run,) = (child.name for child in ml.client.jobs.list(parent_job_name=job.name))
    variables = variables_of(ml, run)
    assert {port: variables[f"AZUREML_PARAMETER_{port}"] for port in texts} == dict.fromkeys(texts, text)
    assert not (tmp_path / "made").exists()
