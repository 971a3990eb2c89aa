"""Types and modes of inputs and outputs, in the spellings of ARM and of YAML."""

from __future__ import annotations

from typing import Any

from localcloud.azureml.common import user_error
from localcloud.core.errors import not_emulated

_MODES = {
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


def kind_of(value: Any) -> Any:
    """Return a type of input or output in ARM's spelling: clients write UriFolder and Literal too."""
    plain = str(value).replace("_", "").lower()
    return next((kind for kind in KINDS if kind.replace("_", "") == plain), value)


def mode_of(value: Any) -> Any:
    """Return the name in YAML of a mode; return other values unchanged."""
    return _MODES.get(str(value).lower(), value)


def check_mode(mode: str | None, port: str, allowed: frozenset[str]) -> str | None:
    """Return the mode of a port if it is allowed. Raises ServiceError 400, or 501 for the modes of MLTable."""
    if not mode or mode in allowed:
        return mode or None
    if mode in {"eval_mount", "eval_download"}:
        raise not_emulated(f"the mode '{mode}' of {port} (MLTable)")
    raise user_error(f"The mode '{mode}' of {port} is not valid: use {', '.join(sorted(allowed))}.")
