"""Settings of the environment's variable group, written into the stack's settings file before a preview or an up.

The values are set by `pulumi config set-all --path`, which adds to an object there; `--config --config-path` of
preview and up replaces the whole object. A principal is added behind the existing ones of the file.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_VALUES = {"BASE_NAME": "base_name", "LOCATION": "location"}
_PRINCIPALS = {
    "MLPIPELINE_SP_OBJECT_ID": ("access", "operators"),
    "MODEL_REGISTRY_USER_OBJECT_ID": ("model_registry", "users"),
}
NAMES = (*_VALUES, *_PRINCIPALS)
"""Names of the variables."""


class ConfigureError(Exception):
    """The settings file cannot be read or written; the text has the name and the reason."""


def configure(stack: str, variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write the values of `variables` into the settings of a project's folder. Return them by path."""
    added = additions(variables, _config(folder / f"Pulumi.{stack}.yaml"))
    if added:
        words = [word for path, value in added.items() for word in ("--plaintext", f"{path}={value}")]
        command = ["pulumi", "--non-interactive", "config", "set-all", "--stack", stack, "--path", *words]
        completed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if completed.returncode:
            raise ConfigureError(f"The settings of stack {stack} cannot be written: {completed.stderr.strip()}")
    return added


def additions(variables: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, str]:
    """Return values by path in the settings. An empty variable adds nothing.

    Raises ConfigureError where the settings have something else than a list of principals.
    """
    added = {f"dataopsml:{key}": variables[name] for name, key in _VALUES.items() if variables.get(name)}
    for name, (section, listed) in _PRINCIPALS.items():
        principal = variables.get(name)
        known = _principals(config, section, listed)
        if principal and principal not in [entry.get("object_id") for entry in known]:
            place = f"dataopsml:{section}.{listed}[{len(known)}]"
            added |= {f"{place}.object_id": principal, f"{place}.type": "ServicePrincipal"}
    return added


def _principals(config: Mapping[str, Any], section: str, listed: str) -> list[Mapping[str, Any]]:
    inside = config.get(f"dataopsml:{section}") or {}
    known = (inside.get(listed) or []) if isinstance(inside, dict) else inside
    if not isinstance(known, list) or not all(isinstance(entry, dict) for entry in known):
        raise ConfigureError(
            f"dataopsml:{section}.{listed} is {known!r}: it should be a list of principals, each with an object_id."
        )
    return known


def _config(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        return dict(content.get("config") or {})
    except FileNotFoundError as error:
        raise ConfigureError(f"There is no {file.name}: a stack's settings stand in such a file.") from error
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise ConfigureError(f"{file.name} is not a settings file: {error!r}") from error
