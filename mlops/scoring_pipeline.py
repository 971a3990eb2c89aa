"""The pipeline that scores a file, and watches it where the specification says so, in azure-ai-ml's DSL.

The DSL reads the annotations of its function as types, so that they are not postponed in this module.
"""

import json
from collections.abc import Mapping
from typing import Any

from azure.ai.ml.dsl import pipeline

from contract.outputs import PlatformOutputs
from mlops.components.score.src.ledger import FIRST
from mlops.components.watch.src.watch_telemetry import NOWHERE
from mlops.pipeline import notebook_step
from mlops.specifications import TrainingPipeline
from steps.champion import CHAMPION


def build(
    training: TrainingPipeline, components: Mapping[str, Any], outputs: PlatformOutputs, notebook: str, version: str
) -> Any:
    """Return the DSL's pipeline. `components` are registered ones by step; `notebook` a workspace path."""
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
        contract = specification.data_contract.notebook_json(specification.target)
        parameters = {"target": specification.target, "keys": json.dumps(scoring.keys), "contract": contract}
        prepare = notebook_step(components, outputs, notebook, file_uri, reuse_key, parameters)
        score = components["score"](
            prepared=prepare.outputs.output,
            specification=training.specification_json,
            container_uri=outputs.training_uri,
            output_folder=output_folder,
            file_version=file_version,
            file_name=file_name,
            model_version=model_version,
            attempt=attempt,
            code_version=version,
        )
        if specification.watch is not None:
            components["watch"](
                scored=score.outputs.scored,
                specification=training.specification_json,
                container_uri=outputs.training_uri,
                telemetry=outputs.application_insights_connection_string or NOWHERE,
            )

    decorate = pipeline(name=training.scoring_component, display_name=f"Score with {training.model}")
    return decorate(steps)(file_uri="abfss://…", file_version="…", file_name="…", reuse_key="…")
