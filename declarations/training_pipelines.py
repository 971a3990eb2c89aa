"""The training pipelines that the repository holds, as far as the stack has to know: names, models and endpoints."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "mlops" / "pipelines"
"""The folder that every function reads unless it gets another one."""
FILE = "pipeline.yml"


SIGN_INS = ("entra", "key")
INCOMING = "incoming/"
"""Folder of the training container where others leave new data."""


class SpecificationError(ValueError):
    """A specification that the stack cannot read; the text names the file and the mend."""


def online_pipelines(folder: Path | None = None) -> dict[str, str]:
    """Return the pipelines that have an online endpoint, sorted: the way to sign in, entra or key, by name.

    Raises SpecificationError for another way. The verbs check everything else (steps.serving).
    """
    pipelines: dict[str, str] = {}
    for name, content in _specifications(folder).items():
        serve = content.get("serve")
        if serve is None:
            continue
        auth = _sign_in(serve)
        if auth not in SIGN_INS:
            raise SpecificationError(
                f"mlops/pipelines/{name}/{FILE}: serve is {serve!r}: write `serve: online`, or `serve: "
                "{online: {auth: entra}}` with auth entra or key."
            )
        pipelines[name] = auth
    return pipelines


def _sign_in(serve: Any) -> Any:
    """Return a specification's way to sign in, None where it does not serve online."""
    if serve == "online":
        return SIGN_INS[0]
    if not isinstance(serve, dict) or "online" not in serve:
        return None
    online = serve["online"] or {}
    return online.get("auth", SIGN_INS[0]) if isinstance(online, dict) else None


def retraining_pipelines(folder: Path | None = None) -> list[str]:
    """Return the names of the pipelines that are trained again after drift, sorted."""
    return [name for name, content in _specifications(folder).items() if _retrain(content) == "on_drift"]


def _retrain(content: dict[str, Any]) -> Any:
    """Return a specification's retraining, None for nothing, or another thing that `mlops` refuses."""
    section = content.get("watch")
    return section.get("retrain") if isinstance(section, dict) else None


def additional_pipelines(folder: Path | None = None) -> list[str]:
    """Return the names of the pipelines that need an endpoint of their own, sorted.

    The default pipeline, or the only one, has the stack's first endpoint.
    """
    specifications = _specifications(folder)
    if len(specifications) < 2:
        return []
    return [name for name, content in specifications.items() if not content.get("default")]


def all_pipelines(folder: Path | None = None) -> list[str]:
    """Return the names of all pipelines, sorted."""
    return list(_specifications(folder))


def incoming_folder(pipeline: str, folder: Path | None = None) -> str:
    """Return the folder of new data for a pipeline: incoming/ for the default one, a subfolder of its name else."""
    return f"{INCOMING}{pipeline}/" if pipeline in additional_pipelines(folder) else INCOMING


def training_experiment(pipeline: str) -> str:
    """Return the name of the experiment of a pipeline's training runs."""
    return f"{pipeline.replace('_', '-')}-training"


def watched_models(folder: Path | None = None) -> list[str]:
    """Return the names of the models whose scored files are watched, sorted: each has an alert rule."""
    return sorted(
        str(content["model"])
        for content in _specifications(folder).values()
        if content.get("score") and "watch" in content and content.get("model")
    )


def _specifications(folder: Path | None) -> dict[str, dict[str, Any]]:
    """Return the content of the specifications by pipeline, {} where it is no mapping: `mlops` refuses it."""
    files = sorted((folder or FOLDER).glob(f"*/{FILE}"))
    contents = {file.parent.name: _parse(file.read_text(encoding="utf-8")) for file in files}
    return {name: content if isinstance(content, dict) else {} for name, content in contents.items()}


@functools.cache
def _parse(text: str) -> Any:
    """Return the content of YAML. A program asks for the same files several times, and each takes 10 ms to parse."""
    return yaml.safe_load(text)
