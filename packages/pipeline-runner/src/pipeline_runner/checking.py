"""What can be known of the pipelines without playing them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline_runner import model, organisation, references, schema, task_inputs
from pipeline_runner.errors import RehearsalError
from pipeline_runner.templates import compile_pipeline, load, template_file

# Every pipeline, and the ways in which it is started: reason, parameters.
Way = tuple[str, str, dict[str, Any]]
WAYS: tuple[Way, ...] = (
    ("azure-pipelines.yml", "IndividualCI", {}),
    ("azure-pipelines.yml", "IndividualCI", {"amlServerJob": True, "ciImage": "registry.azurecr.io/dataopsml/ci:1"}),
    ("azure-pipelines.yml", "PullRequest", {}),
    ("pipelines/ci-image.yml", "IndividualCI", {}),
    ("pipelines/drift.yml", "Schedule", {}),
    ("pipelines/retrain.yml", "Schedule", {}),
    ("pipelines/retrain.yml", "Manual", {"promote": True}),
    ("pipelines/destroy.yml", "Manual", {"confirm": "dev"}),
)


def problems(root: Path, ways: Sequence[Way] = WAYS) -> list[str]:
    """One line for each; empty when all is well. What nothing uses is looked for when all else is well.

    Raises RehearsalError when scripts cannot be checked.
    """
    root = root.resolve()
    found: list[str] = []
    known = organisation.read()
    for name, reason, parameters in ways:
        found += _of_one(root / name, root, f"{name} ({reason})", reason, parameters, set(known.environments))
    for alternative in sorted((root / "pipelines" / "alternatives").glob("*.yml")):
        found += _of_alternative(alternative, root)
    return found or [*_unused(root), *_unread(root)]


def _of_one(
    file: Path, root: Path, where: str, reason: str, parameters: Mapping[str, Any], environments: set[str]
) -> list[str]:
    predefined = {"Build.Reason": reason, "Build.SourceBranch": "refs/heads/main"}
    try:
        document = compile_pipeline(file, root, parameters, predefined)
        if misshapen := schema.problems(document):
            return [f"{where}: {line}" for line in misshapen]
        pipeline = model.read(document)
    except RehearsalError as error:
        return [f"{where}: {error}"]
    lines = [*task_inputs.problems(pipeline), *references.problems(pipeline)]
    for script in scripts(pipeline):
        lines += _shellcheck(script)
    missing = {one for stage in pipeline.stages for one in stage.environments} - environments
    lines += [f"rehearsal/organisation.yml has no environment {one}" for one in sorted(missing)]
    return [f"{where}: {line}" for line in lines]


def _of_alternative(file: Path, root: Path) -> list[str]:
    """Steps that no pipeline here includes, in a pipeline of their own."""
    name = file.relative_to(root).as_posix()
    with tempfile.TemporaryDirectory() as folder:
        around = Path(folder) / "pipeline.yml"
        steps = [{"template": f"/{name}", "parameters": {"environment": "dev"}}]
        around.write_text(yaml.safe_dump({"steps": steps}), encoding="utf-8")
        return _of_one(around, root, name, "Manual", {}, set())


def scripts(pipeline: model.Pipeline) -> Iterator[str]:
    for stage in pipeline.stages:
        for job in stage.jobs:
            for step in (*job.steps, *job.on_failure, *job.on_success):
                if step.kind in ("bash", "script"):
                    yield step.what
                elif step.what.lower().startswith(("azurecli@", "bash@")):
                    yield str(step.inputs.get("inlineScript") or step.inputs.get("script") or "")


@cache
def _shellcheck(script: str) -> list[str]:
    """Macros are replaced before bash sees the script, so they are a word here."""
    plain = re.sub(r"\$\([\w.]+\)", "macro", script)
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [str(program), "--shell=bash", "--severity=style", "--format=gcc", "-"],
        input=plain, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):  # 1: it has found something
        raise RehearsalError(f"shellcheck has checked nothing: {done.stderr.strip() or done.returncode}")
    return done.stdout.splitlines()


def _files(root: Path) -> dict[Path, dict[str, Any]]:
    """What every pipeline and template says, used or not."""
    named = {*(root / name for name, _, _ in WAYS), *(root / "pipelines").glob("*/*.yml")}
    return {file: load(file) for file in sorted(named)}


def _unused(root: Path) -> Iterator[str]:
    """Templates that no pipeline includes; the documented alternatives are for others to include."""
    files = _files(root)
    used = {template_file(reference, file, root) for file, said in files.items() for reference in _references(said)}
    started = {root / name for name, _, _ in WAYS}
    for file in files:
        if file not in used | started and file.parent.name != "alternatives":
            yield f"{file.relative_to(root)}: no pipeline here uses it"


def _unread(root: Path) -> Iterator[str]:
    """Parameters that can be given and change nothing."""
    for file, said in _files(root).items():
        names = [one["name"] for one in said.pop("parameters", [])]
        read = {name.lower() for name in re.findall(r"\bparameters\.(\w+)", str(said))}
        for name in names:
            if name.lower() not in read:
                yield f"{file.relative_to(root)}: nothing reads the parameter {name}"


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("template"), str):
            yield node["template"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
