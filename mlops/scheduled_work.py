"""Work of a pipeline's schedules: a training, or the scoring of the files that were not scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlops import publish, reuse_keys, training_data
from mlops.clients import Clients
from mlops.publish import Published
from mlops.specifications import TrainingPipeline
from steps.schedule import Times
from steps.taken_files import INCOMING, SOURCE

TRIGGER_TIME = "${{creation_context.trigger_time}}"
"""Due time of a scheduled run, as Azure ML fills it into inputs of text ("Use supported expressions in schedules")."""


@dataclass(frozen=True)
class Work:
    """A version of a pipeline component with its inputs, for the schedule `name`."""

    name: str
    experiment: str
    component_id: str
    version: str
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A schedule that a pipeline may have.

    `section` is its place in pipeline.yml; `work` returns the component to run when a deployment serves, None when
    that deployment's version cannot be scheduled.
    """

    title: str
    section: str
    name: Callable[[TrainingPipeline], str]
    times: Callable[[TrainingPipeline], Times | None]
    work: Callable[[Clients, Published], Work | None]


def training_work(clients: Clients, deployment: Published) -> Work:
    """Return the training of a deployment's version. Uploads the data that it names."""
    pipeline = clients.pipeline
    inputs = {**_data(clients), "code_version": deployment.version, reuse_keys.INPUT: TRIGGER_TIME}
    declared = publish.inputs_of(clients, deployment)
    return Work(
        name=pipeline.schedule,
        experiment=pipeline.experiment,
        component_id=deployment.pipeline_id,
        version=deployment.version,
        inputs={name: value for name, value in inputs.items() if name in declared},
    )


def scoring_work(clients: Clients, deployment: Published) -> Work | None:
    """Return the scoring beside a deployment, None where the deployment has none, or cannot take files by itself.

    The run resolves the model's version, and refuses to score with a version that was promoted with other code.
    """
    beside = publish.scoring_deployment(clients, deployment.deployment)
    if beside is None or SOURCE not in publish.inputs_of(clients, beside):
        return None
    pipeline = clients.pipeline
    return Work(
        name=pipeline.scoring_schedule,
        experiment=pipeline.scoring_experiment,
        component_id=beside.pipeline_id,
        version=deployment.version,
        inputs={SOURCE: INCOMING},
    )


def _data(clients: Clients) -> dict[str, str]:
    """Return the inputs that name the data, uploaded where they are the checkout's."""
    rule, out = clients.pipeline.specification.schedule, clients.outputs
    if rule is not None and rule.data is not None:
        return {"data_uri": f"{out.training_uri}/{rule.data}", "data_version": TRIGGER_TIME}
    data = training_data.read(clients.pipeline.data)
    training_data.upload(clients, data)
    return {"data_uri": data.uri(out.training_account, out.training_container), "data_version": data.sha256}


def _scoring_times(pipeline: TrainingPipeline) -> Times | None:
    score = pipeline.specification.score
    return None if score is None else score.schedule


TRAINING = Kind(
    title="schedule",
    section="schedule",
    name=lambda pipeline: pipeline.schedule,
    times=lambda pipeline: pipeline.specification.schedule,
    work=training_work,
)
SCORING = Kind(
    title="schedule that scores",
    section="score.schedule",
    name=lambda pipeline: pipeline.scoring_schedule,
    times=_scoring_times,
    work=scoring_work,
)
KINDS = (TRAINING, SCORING)
