"""The pipeline that scores files, and watches them where the specification does, in azure-ai-ml's DSL.

The DSL reads the annotations of its function as types, so that they are not postponed in this module.
"""

import json
from collections.abc import Mapping
from typing import Any

from azure.ai.ml.dsl import pipeline

from contract.outputs import PlatformOutputs
from mlops.components.score.src.ledger import FIRST, KEPT
from mlops.components.watch.src.watch_telemetry import NOWHERE
from mlops.pipeline import ENGINEERED, folder_output, notebook_step
from mlops.specifications import TrainingPipeline
from steps.champion import CHAMPION
from steps.taken_files import INCOMING, NO_FILE


def build(
    training: TrainingPipeline,
    components: Mapping[str, Any],
    outputs: PlatformOutputs,
    notebook: str,
    version: str,
    deployment: str,
    retraining: Mapping[str, str],
) -> Any:
    """Return the DSL's pipeline, which takes the files of the input folder unless a run names one.

    `components` are registered ones by step; `notebook` a workspace path; `deployment` the training deployment.
    `retraining` are inputs of the step watch.
    """
    specification, scoring = training.specification, training.score

    def steps(
        source: str = INCOMING,
        file_uri: str = NO_FILE,
        file_version: str = NO_FILE,
        file_name: str = NO_FILE,
        model_version: str = CHAMPION,
        attempt: str = FIRST,
        output_folder: str = scoring.output,
    ) -> None:
        contract = specification.data_contract.notebook_json(specification.target)
        parameters = {"target": specification.target, "keys": json.dumps(scoring.keys), "contract": contract}
        take_files = components["take_files"](
            specification=training.specification_json,
            container_uri=outputs.training_uri,
            output_base=f"{outputs.training_uri}/{ENGINEERED}",
            source=source,
            file_uri=file_uri,
            file_version=file_version,
            file_name=file_name,
            attempt=attempt,
            code_version=version,
            output_folder=output_folder,
        )
        take_files.outputs.files = folder_output(outputs, ENGINEERED)
        prepare = notebook_step(components, outputs, notebook, parameters, input_folder=take_files.outputs.files)
        score = components["score"](
            files=take_files.outputs.files,
            prepared=prepare.outputs.output,
            specification=training.specification_json,
            container_uri=outputs.training_uri,
            output_folder=output_folder,
            model_version=model_version,
            attempt=attempt,
            code_version=version,
            deployment=deployment,
            keep_days=str(outputs.scoring_output_days or KEPT),
        )
        if specification.watch is not None:
            components["watch"](
                scored=score.outputs.scored,
                specification=training.specification_json,
                container_uri=outputs.training_uri,
                telemetry=outputs.application_insights_connection_string or NOWHERE,
                **retraining,
            )

    decorate = pipeline(name=training.scoring_component, display_name=f"Score with {training.model}")
    return decorate(steps)()
