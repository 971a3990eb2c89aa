"""Outputs: type, mode, place and asset, from the specification of a job and the declaration of its component."""

from __future__ import annotations

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import expressions, shapes
from localcloud.azureml.jobs.expressions import ParentOutput
from localcloud.azureml.jobs.specification import OutputDeclaration, OutputSpec
from localcloud.core.json import Json

_TYPES = tuple(kind for kind in shapes.KINDS if kind != "literal")


def bound_to(port: OutputSpec) -> ParentOutput | None:
    """Return the pipeline's output that a step's output is bound to. Raises BindingError."""
    reference = expressions.whole(port.value if port.value is not None else port.uri)
    return reference if isinstance(reference, ParentOutput) else None


def output(port: OutputSpec, declared: OutputDeclaration, label: str) -> Json:
    """Return an output as runs keep it; the specification wins over the declaration. Raises ServiceError 400."""
    kind = port.kind
    if kind in {None, "literal"}:
        kind = declared.type or "uri_folder"
    if kind not in _TYPES:
        raise user_error(f"The type '{kind}' of {label} is not valid: use {', '.join(_TYPES)}.")
    mode = shapes.check_mode(port.mode or declared.mode, label, shapes.OUTPUT_MODES) or "rw_mount"
    return {
        "type": kind, "mode": mode, "uri": None if expressions.whole(port.uri) else port.uri,
        "asset_name": port.asset_name, "asset_version": port.asset_version,
    }  # fmt: skip
