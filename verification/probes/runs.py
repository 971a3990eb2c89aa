"""The newest completed run: where the steps of a pipeline component put their outputs, started by a batch endpoint."""

from __future__ import annotations

from mlops import jobs
from verification.probe import Answer, Probe, judged, skipped
from verification.target import Target

_STEP, _FOLDER = "feature_engineering", "engineered"


def _output_path(target: Target) -> Answer:
    job = jobs.newest_completed(target.clients)
    if job is None:
        return skipped("no completed run: `make smoke` starts one")
    step = next((step for step in target.history.steps(job.name) if step.name == _STEP), None)
    if step is None:
        return judged(f"run {job.name} has no step {_STEP}", holds=False)
    # Azure ML shows no outputs of a pipeline's step by ARM: what the step wrote tells where it was told to write.
    for whose, run in (("step", step.run), ("pipeline run", job.name)):
        blobs = list(target.clients.training.list_blobs(name_starts_with=f"{_FOLDER}/{run}/"))
        if blobs:
            return judged(f"{len(blobs)} blobs in {_FOLDER}/, below the name of the {whose}", holds=True)
    return judged(f"nothing in {_FOLDER}/ of the training container is named after run {job.name}", holds=False)


PROBES = (
    Probe(
        name="step-output-path",
        believed="a step's output goes to the path that the pipeline component gives it, on the training datastore",
        basis="Azure/azure-sdk-for-python#27454 says so; MicrosoftDocs/azure-docs#113446 saw the default store",
        ask=_output_path,
    ),
)
