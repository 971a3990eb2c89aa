"""The newest completed run: where the steps of a pipeline component put their outputs, started by a batch endpoint."""

from __future__ import annotations

from itertools import islice

from mlops import jobs, reuse_keys
from verification.probe import Answer, Probe, judged, skipped
from verification.target import Target

_STEP, _FOLDER = "feature_engineering", "engineered"
_NEWEST_RUNS = 20


def _output_path(target: Target) -> Answer:
    job = jobs.newest_completed(target.clients)
    if job is None:
        return skipped("no completed run: `make smoke` starts one")
    step = next((step for step in target.history.steps(job.name) if step.name == _STEP), None)
    if step is None:
        return judged(f"run {job.name} has no step {_STEP}", holds=False)
    # Azure ML shows no outputs of a pipeline's step by ARM: the text that the step wrote shows its folder.
    for label, run in (("step", step.origin), ("pipeline run", job.name)):
        blobs = list(target.clients.training.list_blobs(name_starts_with=f"{_FOLDER}/{run}/"))
        if blobs:
            return judged(f"{len(blobs)} blobs in {_FOLDER}/, below the name of the {label}", holds=True)
    return judged(f"nothing in {_FOLDER}/ of the training container is named after run {job.name}", holds=False)


def _literal_inputs(target: Target) -> Answer:
    """Judge whether every step reads its literal inputs from variables and ends with the name of a missing one."""
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


def _step_reuse(target: Target) -> Answer:
    """Compare runs with the same key: the first step of the second one should be reused."""
    completed = [job for job in islice(jobs.recent(target.clients), _NEWEST_RUNS) if job.status == "Completed"]
    keys = [(job.code, job.data, job.inputs.get(reuse_keys.INPUT, "")) for job in completed]
    for job, key in zip(completed, keys, strict=True):
        if not key[-1] or keys.count(key) < 2:
            continue
        reused = {step.name: step.reused for step in target.history.steps(job.name) if step.reused}
        if _STEP in reused:
            return judged(f"{_STEP} of run {job.name} is reused from {reused[_STEP]}", holds=True)
    pairs = sorted({key[-1] for key in keys if key[-1] and keys.count(key) > 1})
    if not pairs:
        return skipped("no two completed runs of the same version and data: run `python -m mlops run` twice")
    return judged(f"no {_STEP} is marked as reused in runs with the keys {', '.join(pairs)}", holds=False)


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
    Probe(
        name="step-reuse",
        believed="the first step of a second run with the same reuse_key is marked as reused, with the run it is from",
        basis="MicrosoftDocs/azure-docs how-to-debug-pipeline-reuse-issues.md; azure-ai-ml, constants/_job/pipeline.py",
        ask=_step_reuse,
    ),
)
