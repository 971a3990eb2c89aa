"""The five-step pipeline, in azure-ai-ml's DSL.

The DSL reads the annotations of its function as types, so that they are not postponed in this module.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from azure.ai.ml import Input, Output
from azure.ai.ml.dsl import pipeline

from contract.outputs import PlatformOutputs
from mlops import job_environment
from mlops.errors import InvalidError
from mlops.specifications import TrainingPipeline
from steps import champion
from steps.specification import Parameter

_CHECKED = "checked"
ENGINEERED, REPORTS = "engineered", "reports"
"""Folders of the training container: a step's output is in the subfolder named after its run."""


def build(
    training: TrainingPipeline,
    components: Mapping[str, Any],
    outputs: PlatformOutputs,
    notebook: str,
    version: str,
    commit: str,
) -> Any:
    """Return the DSL's pipeline. `components` are registered ones by step; `notebook` a workspace path.

    `version` and `commit` go into the lineage of the model's versions. The run parameters of the specification become
    inputs of the pipeline. Raises InvalidError for a train component that would not wait for the check of the data.
    """
    if _CHECKED not in components["train"].inputs:
        raise InvalidError(
            f"The component train of {training.name} has no input {_CHECKED}: without it training would not wait for "
            f"the check of the data. Add to its inputs `{_CHECKED}: {{type: uri_folder}}`."
        )
    specification = training.specification_json
    environment = f"{job_environment.NAME}:{job_environment.version()}"
    contract = training.specification.data_contract.notebook_json(training.specification.target)
    compares = training.specification.data_contract.drift_ends_runs

    def steps(data_uri, data_version, reuse_key, code_version, **parameters):  # type: ignore[no-untyped-def]
        serving_version = parameters.pop(champion.INPUT) if compares else champion.NOT_COMPARED
        feature_engineering = notebook_step(
            components, outputs, notebook, {"contract": contract}, input_uri=data_uri, reuse_key=reuse_key
        )
        check_data = components["check_data"](
            engineered=feature_engineering.outputs.output, specification=specification, serving_version=serving_version
        )
        train = components["train"](
            engineered=feature_engineering.outputs.output,
            # The reason is not its content: a step waits only for steps whose outputs it takes.
            checked=check_data.outputs.checked,
            specification=specification,
            **parameters,
        )
        evaluate = components["evaluate"](
            model=train.outputs.model,
            held_out=train.outputs.held_out,
            checked=check_data.outputs.checked,
            specification=specification,
        )
        # Beside the report: a run whose register step failed has a report from the evaluation.
        evaluate.outputs.evaluation = folder_output(outputs, REPORTS)
        register = components["register"](
            model=train.outputs.model,
            evaluation=evaluate.outputs.evaluation,
            specification=specification,
            code_version=code_version,
            commit=commit,
            data_version=data_version,
            notebook=notebook,
            environment=environment,
        )
        register.outputs.report = folder_output(outputs, REPORTS)

    decorate = pipeline(name=training.component, display_name=f"Train, evaluate and register {training.model}")
    optional = {"code_version": ("string", version)}
    if compares:
        optional[champion.INPUT] = ("string", champion.CHAMPION)
    built = decorate(_with_inputs(steps, training.specification.parameters, optional))
    return built(data_uri="abfss://…", data_version="…", reuse_key="…")


def notebook_step(
    components: Mapping[str, Any],
    outputs: PlatformOutputs,
    notebook: str,
    parameters: Mapping[str, str],
    **source: Any,
) -> Any:
    """Return the step that runs a notebook.

    `source` are inputs of the component that name the notebook's input: input_uri with reuse_key, inputs of the
    pipeline that is built, or input_folder, the output of another step.
    """
    step = components["run_databricks_notebook"](
        workspace_url=outputs.databricks_host,
        notebook_path=notebook,
        instance_pool_id=outputs.instance_pool_id,
        cluster_policy_id=outputs.cluster_policy_id,
        spark_version=outputs.spark_version,
        output_base=f"{outputs.training_uri}/{ENGINEERED}",
        notebook_parameters=json.dumps(parameters),
        **source,
    )
    step.outputs.output = folder_output(outputs, ENGINEERED)
    return step


def folder_output(outputs: PlatformOutputs, root: str) -> Output:
    """Return an output that is a folder of its own below a folder of the training container."""
    path = f"azureml://datastores/{outputs.training_datastore}/paths/{root}/${{{{name}}}}/"
    return Output(type="uri_folder", mode="rw_mount", path=path)


def _with_inputs(
    function: Callable[..., None], parameters: Mapping[str, Parameter], others: Mapping[str, tuple[str, str]]
) -> Callable[..., None]:
    """Return the function with one argument for each input: the DSL reads the inputs from the signature.

    `others`: types and defaults of further inputs.
    """
    plain = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str) for name in _DATA_INPUTS]
    optional = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Input(type=kind, default=default)
        )
        for name, kind, default in (
            *((name, *declared) for name, declared in others.items()),
            *((name, rule.type, rule.default) for name, rule in parameters.items()),
        )
    ]
    function.__signature__ = inspect.Signature([*plain, *optional])  # type: ignore[attr-defined]
    function.__annotations__ = {argument.name: argument.annotation for argument in (*plain, *optional)}
    return function


_DATA_INPUTS = ("data_uri", "data_version", "reuse_key")
