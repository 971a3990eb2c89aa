"""The four-step pipeline, in azure-ai-ml's DSL.

The DSL reads the annotations of its function as types, so that they are not postponed in this module.
"""

from collections.abc import Mapping
from typing import Any

from azure.ai.ml import Output
from azure.ai.ml.dsl import pipeline

from contract.outputs import PlatformOutputs

NAME = "diabetes_training"
STEPS = ("feature_engineering", "train", "evaluate", "register")
ENGINEERED, REPORTS = "engineered", "reports"
"""Folders of the training container: a step's output is in the subfolder named after its run."""


def build(
    components: Mapping[str, Any], outputs: PlatformOutputs, notebook: str, version: str, commit: str, model: str
) -> Any:
    """Return the DSL's function. `components` are registered ones by folder name; `notebook` a workspace path.

    `version` and `commit` go into the lineage of the versions of `model`.
    """
    container = f"abfss://{outputs.training_container}@{outputs.training_account}.dfs.core.windows.net"
    datastore = f"azureml://datastores/{outputs.training_datastore}/paths"

    @pipeline(  # type: ignore[untyped-decorator]
        name=NAME, display_name="Train, evaluate and register the diabetes model"
    )
    def training(data_uri: str, data_version: str, code_version: str = version):  # type: ignore[no-untyped-def]
        feature_engineering = components["run_databricks_notebook"](
            workspace_url=outputs.databricks_host,
            notebook_path=notebook,
            instance_pool_id=outputs.instance_pool_id,
            cluster_policy_id=outputs.cluster_policy_id,
            spark_version=outputs.spark_version,
            input_uri=data_uri,
            output_base=f"{container}/{ENGINEERED}",
        )
        feature_engineering.outputs.output = Output(
            type="uri_folder", mode="rw_mount", path=f"{datastore}/{ENGINEERED}/${{{{name}}}}/"
        )
        train = components["train"](engineered=feature_engineering.outputs.output)
        evaluate = components["evaluate"](model=train.outputs.model, held_out=train.outputs.held_out, model_name=model)
        register = components["register"](
            model=train.outputs.model,
            evaluation=evaluate.outputs.evaluation,
            model_name=model,
            code_version=code_version,
            commit=commit,
            data_version=data_version,
        )
        register.outputs.report = Output(
            type="uri_folder", mode="rw_mount", path=f"{datastore}/{REPORTS}/${{{{name}}}}/"
        )

    return training
