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
    for whose, run in (("step", step.origin), ("pipeline run", job.name)):
        blobs = list(target.clients.training.list_blobs(name_starts_with=f"{_FOLDER}/{run}/"))
        if blobs:
            return judged(f"{len(blobs)} blobs in {_FOLDER}/, below the name of the {whose}", holds=True)
    return judged(f"nothing in {_FOLDER}/ of the training container is named after run {job.name}", holds=False)


def _literal_inputs(target: Target) -> Answer:
    """Every step reads its literal inputs from variables, and ends with the name of one that is not set."""
    job = jobs.newest(target.clients)
    if job is None:
        return skipped("no run: `make smoke` starts one")
    steps = target.history.steps(job.name)
    missing = [step.name for step in steps if "The variable AZUREML_PARAMETER_" in target.history.log(step)]
    if missing:
        return judged(f"not set in {', '.join(missing)} of run {job.name}", holds=False)
    if not any(step.status == "Completed" for step in steps):
        return skipped(f"no step of run {job.name} has completed")
    return judged(f"read by the steps of run {job.name}", holds=True)


PROBES = (
    Probe(
        name="literal-inputs",
        believed="a pipeline's step finds its literal inputs in AZUREML_PARAMETER_<name>, as they were given",
        basis="azure-ai-ml, docstring of CommandJob; Azure/azureml-assets, run_finetune; docs/adr/0020",
        ask=_literal_inputs,
    ),
    Probe(
        name="step-output-path",
        believed="a step's output goes to the path that the pipeline component gives it, on the training datastore",
        basis="Azure/azure-sdk-for-python#27454 says so; MicrosoftDocs/azure-docs#113446 saw the default store",
        ask=_output_path,
    ),
)
