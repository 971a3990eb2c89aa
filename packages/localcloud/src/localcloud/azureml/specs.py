"""Checks of an asset version's content before Azure ML registers it."""

from __future__ import annotations

import re
from typing import Any

from localcloud.azureml import paths
from localcloud.azureml.common import user_error
from localcloud.core.context import Context
from localcloud.core.errors import not_emulated
from localcloud.core.resource import Resource

PRIMITIVES = ("string", "integer", "number", "boolean", "enum")
DATA = ("uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model", "path", "AnyDirectory")
_PLACEHOLDER = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z_][\w.]*)\s*\}\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def complete(ctx: Context, resource: Resource, kind: str, home: Resource) -> None:
    """`home` is the workspace or registry of the version. Raises ServiceError 400 UserError with the reason."""
    properties = resource.properties
    if kind == "codes" and not properties.get("codeUri"):
        raise user_error(f"The property 'codeUri' of code '{resource.id.split('/')[-3]}' is required.")
    if kind == "data":
        _check_data(resource)
    if kind == "environments" and not (properties.get("image") or properties.get("build")):
        raise user_error("An environment needs an 'image' or a 'build'.")
    if kind == "components":
        _check_component(ctx, resource, home)


def _check_data(resource: Resource) -> None:
    kind = resource.properties.get("dataType")
    if kind not in {"uri_file", "uri_folder", "mltable"}:
        raise user_error(f"dataType '{kind}' is not valid: use uri_file, uri_folder or mltable.")
    if not resource.properties.get("dataUri"):
        raise user_error(f"The property 'dataUri' of data '{resource.id.split('/')[-3]}' is required.")


def _check_component(ctx: Context, resource: Resource, home: Resource) -> None:
    spec = resource.properties.get("componentSpec")
    if not isinstance(spec, dict):
        raise user_error("The property 'componentSpec' of a component is required and must be an object.")
    kind = spec.get("type", "command")
    if kind not in {"command", "pipeline"}:
        raise not_emulated(f"components of type '{kind}': localcloud runs command and pipeline")
    inputs, outputs = spec.get("inputs") or {}, spec.get("outputs") or {}
    for name, port in [*inputs.items(), *outputs.items()]:
        _check_port(name, port, output=name in outputs and port is outputs[name])
    if kind == "pipeline":
        if not spec.get("jobs"):
            raise user_error("A pipeline component needs at least one job.")
        return
    if not spec.get("command"):
        raise user_error("The property 'command' of a command component is required.")
    for side, name in _PLACEHOLDER.findall(str(spec["command"])):
        if name not in (inputs if side == "inputs" else outputs):
            raise user_error(f"The command refers to '${{{{{side}.{name}}}}}', but there is no such {side[:-1]}.")
    environment = spec.get("environment")
    if not environment:
        raise user_error("The property 'environment' of a command component is required.")
    if isinstance(environment, str) and not paths.curated(environment):
        paths.resolve_asset(ctx, home, environment, "environments")
    if spec.get("code"):
        paths.resolve_asset(ctx, home, str(spec["code"]), "codes")


def _check_port(name: str, port: Any, *, output: bool) -> None:
    if _NAME.fullmatch(name) is None:
        raise user_error(f"'{name}' is not a valid name of an input or output: use letters, digits and underscores.")
    kind = port.get("type") if isinstance(port, dict) else None
    kinds = [kind] if not isinstance(kind, list) else kind
    if any(declared not in DATA and (output or declared not in PRIMITIVES) for declared in kinds):
        raise user_error(f"'{kind}' is not a type that '{name}' can have: use {', '.join((*PRIMITIVES, *DATA[:5]))}.")
