"""The two-step pipeline that scores a file, in azure-ai-ml's DSL.

The DSL reads the annotations of its function as types, so that they are not postponed in this module.
"""

import json
from collections.abc import Mapping
from typing import Any

from azure.ai.ml import Output
from azure.ai.ml.dsl import pipeline

from contract.outputs import PlatformOutputs
from mlops.components.score.src.ledger import FIRST
from mlops.pipeline import ENGINEERED
from mlops.specifications import TrainingPipeline

CHAMPION = "champion"
"""As a version of the model: the one that serves when the score step begins."""


def build(
    training: TrainingPipeline, components: Mapping[str, Any], outputs: PlatformOutputs, notebook: str, version: str
) -> Any:
    """Return the DSL's pipeline. `components` are registered ones by step; `notebook` a workspace path."""
    container = f"abfss://{outputs.training_container}@{outputs.training_account}.dfs.core.windows.net"
    datastore = f"azureml://datastores/{outputs.training_datastore}/paths"
    specification, scoring = training.specification, training.score

    def steps(
        file_uri: str,
        file_version: str,
        file_name: str,
        reuse_key: str,
        model_version: str = CHAMPION,
        attempt: str = FIRST,
        output_folder: str = scoring.output,
    ) -> None:
        prepare = components["run_databricks_notebook"](
            workspace_url=outputs.databricks_host,
            notebook_path=notebook,
            instance_pool_id=outputs.instance_pool_id,
            cluster_policy_id=outputs.cluster_policy_id,
            spark_version=outputs.spark_version,
            input_uri=file_uri,
            output_base=f"{container}/{ENGINEERED}",
            reuse_key=reuse_key,
            notebook_parameters=json.dumps({"target": specification.target, "keys": json.dumps(scoring.keys)}),
        )
        prepare.outputs.output = Output(
            type="uri_folder", mode="rw_mount", path=f"{datastore}/{ENGINEERED}/${{{{name}}}}/"
        )
        components["score"](
            prepared=prepare.outputs.output,
            specification=training.specification_json,
            container_uri=container,
            output_folder=output_folder,
            file_version=file_version,
            file_name=file_name,
            model_version=model_version,
            attempt=attempt,
            code_version=version,
        )

    decorate = pipeline(name=training.scoring_component, display_name=f"Score with {training.model}")
    return decorate(steps)(file_uri="abfss://…", file_version="…", file_name="…", reuse_key="…")
