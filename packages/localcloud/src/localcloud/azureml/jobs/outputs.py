"""Outputs as clients ask for them."""

from __future__ import annotations

from typing import Any

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import expressions, shapes
from localcloud.azureml.jobs.expressions import ParentOutput
from localcloud.core.json import Json

_TYPES = tuple(kind for kind in shapes.KINDS if kind != "literal")


def bound_to(asked: Any) -> ParentOutput | None:
    """The pipeline's output that a step's output is bound to. Raises BindingError."""
    value = shapes.pick(asked, "value", "uri", "path") if isinstance(asked, dict) else asked
    reference = expressions.whole(value)
    return reference if isinstance(reference, ParentOutput) else None


def wanted(asked: Json, declared: Json, what: str) -> Json:
    """Type, mode, place and asset of an output, by what is asked for and what the component declares.

    Raises ServiceError 400.
    """
    kind = shapes.kind_of(shapes.pick(asked, "jobOutputType") or asked.get("type"))
    if kind in {None, "literal"}:
        kind = declared.get("type") or "uri_folder"
    if kind not in _TYPES:
        raise user_error(f"The type '{kind}' of {what} is not valid: use {', '.join(_TYPES)}.")
    uri = shapes.pick(asked, "uri", "path")
    mode = shapes.mode_of(asked.get("mode") or declared.get("mode"), what, shapes.OUTPUT_MODES) or "rw_mount"
    return {
        "type": kind, "mode": mode, "uri": None if expressions.whole(uri) else uri,
        "asset_name": shapes.pick(asked, "assetName", "name"),
        "asset_version": shapes.pick(asked, "assetVersion", "version"),
    }  # fmt: skip
