"""Mistakes in pipelines that show without playing them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline_runner import model, references, schema, task_inputs
from pipeline_runner.errors import RunnerError
from pipeline_runner.organisation import Organisation, Start
from pipeline_runner.templates import compile_pipeline, load, template_file

_TEMPLATE_KEYS = {"stages", "jobs", "steps", "variables"}


def problems(root: Path, organisation: Organisation, starts: Sequence[Start] | None = None) -> list[str]:
    """Return one line for each mistake in the pipelines, compiled for `starts`, by default the organisation's.

    Unused templates and parameters are reported when there are no other mistakes. Raises RunnerError when inline
    scripts cannot be checked.
    """
    root = root.resolve()
    lines: list[str] = []
    for start in organisation.pipelines if starts is None else starts:
        lines += _start_problems(root / start.file, root, f"{start.file} ({start.reason})", start, organisation)
    for name, parameters in organisation.alternatives.items():
        lines += _alternative_problems(name, parameters, root)
    return lines or [*_unused_templates(root, organisation), *_unread_parameters(root, organisation)]


def _start_problems(file: Path, root: Path, where: str, start: Start, organisation: Organisation) -> list[str]:
    predefined = {"Build.Reason": start.reason, "Build.SourceBranch": "refs/heads/main"}
    try:
        document = compile_pipeline(file, root, start.parameters, predefined)
        if misshapen := schema.problems(document):
            return [f"{where}: {line}" for line in misshapen]
        pipeline = model.read(document)
    except RunnerError as error:
        return [f"{where}: {error}"]
    lines = [*task_inputs.problems(pipeline), *references.problems(pipeline)]
    for script in scripts(pipeline):
        lines += _shellcheck(script)
    if organisation.environments is not None:
        used = {environment for stage in pipeline.stages for environment in stage.environments}
        missing = sorted(used - set(organisation.environments))
        lines += [f"the organisation has no environment {environment}" for environment in missing]
    return [f"{where}: {line}" for line in lines]


def _alternative_problems(name: str, parameters: Mapping[str, Any], root: Path) -> list[str]:
    """Check a template of steps that no pipeline includes, in a pipeline of its own."""
    with tempfile.TemporaryDirectory() as folder:
        including = Path(folder) / "pipeline.yml"
        steps = [{"template": f"/{name}", "parameters": dict(parameters)}]
        including.write_text(yaml.safe_dump({"steps": steps}), encoding="utf-8")
        return _start_problems(including, root, name, Start(file=name, reason="Manual"), Organisation())


def scripts(pipeline: model.Pipeline) -> Iterator[str]:
    """Return the inline scripts that bash runs."""
    for stage in pipeline.stages:
        for job in stage.jobs:
            for step in (*job.steps, *job.on_failure, *job.on_success):
                if step.kind in ("bash", "script"):
                    yield step.argument
                elif step.argument.lower().startswith(("azurecli@", "bash@")):
                    yield str(step.inputs.get("inlineScript") or step.inputs.get("script") or "")


@cache
def _shellcheck(script: str) -> list[str]:
    """Return shellcheck's lines. Macros are replaced before bash reads a script, so they are a word here."""
    plain = re.sub(r"\$\([\w.]+\)", "macro", script)
    completed = subprocess.run(
        [_shellcheck_program(), "--shell=bash", "--severity=style", "--format=gcc", "-"],
        input=plain, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if completed.returncode not in (0, 1):  # 1: the script has mistakes
        raise RunnerError(f"shellcheck has checked nothing: {completed.stderr.strip() or completed.returncode}")
    return completed.stdout.splitlines()


def _shellcheck_program() -> str:
    """Return the program beside this Python, where the extra `check` installs it, or that on PATH."""
    beside = Path(sys.executable).with_name("shellcheck")
    program = str(beside) if beside.exists() else shutil.which("shellcheck")
    if program is None:
        raise RunnerError("There is no shellcheck: install pipeline-runner with its extra `check`.")
    return program


def _files(root: Path, organisation: Organisation) -> dict[Path, dict[str, Any]]:
    """Return the content of every pipeline and of every template in the organisation's folders, used or not."""
    files = {root / start.file for start in organisation.pipelines}
    templates = {file for folder in organisation.templates for file in (root / folder).rglob("*.yml")} - files
    contents = {file: load(file) for file in sorted(files | templates)}
    return {file: content for file, content in contents.items() if file in files or _TEMPLATE_KEYS & content.keys()}


def _unused_templates(root: Path, organisation: Organisation) -> Iterator[str]:
    files = _files(root, organisation)
    used = {template_file(path, file, root) for file, content in files.items() for path in _template_paths(content)}
    used |= {root / start.file for start in organisation.pipelines}
    used |= {root / name for name in organisation.alternatives}
    for file in files:
        if file not in used:
            yield f"{file.relative_to(root)}: no pipeline here uses it"


def _unread_parameters(root: Path, organisation: Organisation) -> Iterator[str]:
    for file, content in _files(root, organisation).items():
        names = [parameter["name"] for parameter in content.pop("parameters", [])]
        read = {name.lower() for name in re.findall(r"\bparameters\.(\w+)", str(content))}
        for name in names:
            if name.lower() not in read:
                yield f"{file.relative_to(root)}: nothing reads the parameter {name}"


def _template_paths(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("template"), str):
            yield node["template"]
        for value in node.values():
            yield from _template_paths(value)
    elif isinstance(node, list):
        for value in node:
            yield from _template_paths(value)
