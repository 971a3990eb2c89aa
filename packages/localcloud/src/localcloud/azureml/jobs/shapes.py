"""The shapes in which clients write jobs: ARM's camelCase, and the snake_case of a pipeline's free-form steps."""

from __future__ import annotations

import re
from typing import Any

from localcloud.azureml.common import user_error
from localcloud.core.json import Json

MODES = {
    "readonlymount": "ro_mount", "ro_mount": "ro_mount", "readwritemount": "rw_mount", "rw_mount": "rw_mount",
    "mount": "rw_mount", "download": "download", "upload": "upload", "direct": "direct", "evalmount": "eval_mount",
    "eval_mount": "eval_mount", "evaldownload": "eval_download", "eval_download": "eval_download",
}  # fmt: skip
ARM_MODES = {
    "ro_mount": "ReadOnlyMount", "rw_mount": "ReadWriteMount", "download": "Download", "upload": "Upload",
    "direct": "Direct", "eval_mount": "EvalMount", "eval_download": "EvalDownload",
}  # fmt: skip
KINDS = ("literal", "uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model")
INPUT_MODES = frozenset({"ro_mount", "rw_mount", "download", "direct"})
OUTPUT_MODES = frozenset({"rw_mount", "upload", "direct"})


def pick(source: Json, *names: str) -> Any:
    """The first of `names` that has a value; snake_case is looked for too."""
    for name in names:
        for key in (name, snake(name)):
            if source.get(key) is not None:
                return source[key]
    return None


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def mode_of(value: Any, what: str, allowed: frozenset[str]) -> str | None:
    """The mode's name in YAML, None when none is given. Raises ServiceError 400, or 501 for the modes of MLTable."""
    if not value:
        return None
    mode = MODES.get(str(value).lower())
    if mode is None:
        raise user_error(f"The mode '{value}' of {what} is not valid: use {', '.join(sorted(allowed))}.")
    if mode in {"eval_mount", "eval_download"}:
        raise user_error(f"The mode '{value}' of {what} (MLTable) is not emulated.", 501)
    if mode not in allowed:
        raise user_error(f"The mode '{value}' of {what} is not valid: use {', '.join(sorted(allowed))}.")
    return mode


def kind_of(value: Any) -> str | None:
    """A type of input or output in ARM's spelling: clients write UriFolder and Literal too."""
    if value is None:
        return None
    plain = str(value).replace("_", "").lower()
    return next((kind for kind in KINDS if kind.replace("_", "") == plain), str(value))


def ports(given: Any, what: str) -> dict[str, Any]:
    """An inputs or outputs object by name. Raises ServiceError 400 when it is not one."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise user_error(f"The {what} must be an object by name.")
    return {str(name): value for name, value in given.items() if value is not None}
