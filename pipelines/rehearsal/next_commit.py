"""Another commit in a copy of the repository, as a data scientist would push it: another value of a run parameter.

`python -m pipelines.rehearsal.next_commit COPY` prints the copy's folder, for `pipeline-runner play --repository`.
The default pipeline's specification changes, so that it is published, trained and promoted again. Its gate tolerates a
loss then: a rehearsal cannot predict whether another value makes a better model. Drift in one scored file starts a
retraining, and prod's alerts are posted to a webhook of this machine, for the model's life there. The files keep their
comments, which are documentation, and tests look for some of them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import yaml
from pipeline_runner.errors import RunnerError
from pipeline_runner.workspace import git

from pipelines.rehearsal import webhook, yaml_edits

_SPECIFICATIONS = "mlops/pipelines/*/pipeline.yml"
_PROD, _MONITORING, _WEBHOOKS = "Pulumi.prod.yaml", "dataopsml:monitoring", "alert_webhooks"
_RETRAINING = {"retrain": "on_drift", "windows": 1, "at_most_every": "PT1H"}
_TOLERATED = -1_000_000.0
"""Margin of the first metric, in its own unit: any model is accepted that keeps the gate's bounds."""


def commit_on_top(repository: Path, copy: Path) -> Path:
    """Return a copy of the repository with a changed specification committed.

    Raises RunnerError when the default pipeline has no numeric run parameter.
    """
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)
    git("clone", "--quiet", str(repository), str(copy), cwd=repository)
    file, prod = default_specification(copy), copy / _PROD
    file.write_text(changed(file.read_text(encoding="utf-8"), file.relative_to(copy)), encoding="utf-8")
    hooks = yaml_edits.with_value(
        prod.read_text(encoding="utf-8"), ("config", _MONITORING, _WEBHOOKS), [webhook.new_address()]
    )
    prod.write_text(hooks, encoding="utf-8")
    author = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@example.com")
    git(*author, "commit", "--quiet", "--all", "--message", "Train with another value", cwd=copy)
    if (repository / ".venv").exists():
        (copy / ".venv").symlink_to((repository / ".venv").resolve())
    return copy


def changed(text: str, name: Path) -> str:
    """Return the specification with twice the default of its first number, within its bounds, and a tolerant gate.

    Raises RunnerError when it has no parameter that is a number.
    """
    specification: dict[str, Any] = yaml.safe_load(text)
    parameters: dict[str, dict[str, Any]] = specification.get("parameters") or {}
    number = next((name for name, rule in parameters.items() if rule["type"] == "number"), None)
    if number is None:
        raise RunnerError(f"{name} has no run parameter of type number to change.")
    default = float(parameters[number]["default"])
    value = default * 2 or 1.0
    if value > parameters[number].get("maximum", value):
        value = default / 2
    text = yaml_edits.with_value(text, ("parameters", number, "default"), value)
    text = yaml_edits.with_value(text, ("gate", "metrics", 0, "margin"), _TOLERATED)
    if "watch" in specification:
        for field, setting in reversed(_RETRAINING.items()):
            text = yaml_edits.with_value(text, ("watch", field), setting)
    return text


def webhook_address(copy: Path) -> str:
    """Return the address that prod's alerts are posted to. Raises RunnerError when the copy has none."""
    try:
        settings = yaml.safe_load((copy / _PROD).read_text(encoding="utf-8"))
        return str(settings["config"][_MONITORING][_WEBHOOKS][0])
    except (OSError, KeyError, IndexError) as error:
        raise RunnerError(f"{copy / _PROD} names no webhook: play the whole rehearsal first.") from error


def default_specification(copy: Path) -> Path:
    """Return the file of the default pipeline's specification. Raises RunnerError when there is none."""
    files = sorted(copy.glob(_SPECIFICATIONS))
    for file in files:
        if len(files) == 1 or yaml.safe_load(file.read_text(encoding="utf-8")).get("default"):
            return file
    raise RunnerError(f"No {_SPECIFICATIONS} says `default: true`: there is no pipeline to change.")


def main(words: list[str]) -> int:
    """Make the copy in the folder that the one argument names; return an exit code."""
    if len(words) != 1:
        sys.stderr.write("python -m pipelines.rehearsal.next_commit COPY\n")
        return 2
    try:
        sys.stdout.write(f"{commit_on_top(Path.cwd(), Path(words[0]).resolve())}\n")
    except RunnerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
