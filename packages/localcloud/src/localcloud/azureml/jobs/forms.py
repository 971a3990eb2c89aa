"""What a job's properties have to be before anything is made of them: values of other types are refused by path."""

from __future__ import annotations

from typing import Any

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs.shapes import snake
from localcloud.core.json import Json

_TYPES: dict[type, str] = {str: "a string", bool: "true or false", dict: "an object"}
_BOTH: dict[str, type] = {
    "displayName": str, "description": str, "command": str, "computeId": str, "codeId": str, "environmentId": str,
    "componentId": str, "isArchived": bool, "tags": dict, "properties": dict, "inputs": dict, "outputs": dict,
    "environmentVariables": dict, "settings": dict, "resources": dict, "limits": dict, "identity": dict,
    "distribution": dict, "jobs": dict, "services": dict,
}  # fmt: skip
_JOB = _BOTH | {"jobType": str, "experimentName": str}
# A step is written as in YAML: its component may stand in it as a whole.
_STEP = {name: type_ for name, type_ in _BOTH.items() if name != "componentId"} | {"type": str, "compute": str}
_BELOW: dict[str, dict[str, type]] = {
    "resources": {"instanceType": str, "properties": dict},
    "identity": {"identityType": str, "type": str, "clientId": str},
    "settings": {"defaultCompute": str, "defaultDatastore": str, "continueOnStepFailure": bool},
}
_OBJECTS = ("outputs", "services")
"""Maps whose values are objects. An input of a step may be a plain value."""


def check(properties: Json) -> None:
    """Raises ServiceError 400 that names the first value of a wrong type."""
    _fields(properties, _JOB, "properties")


def _fields(given: Json, wanted: dict[str, type], path: str) -> None:
    for key, value in given.items():
        name = next((one for one in wanted if key in (one, snake(one))), None)
        if name is None or value is None:
            continue
        here = f"{path}.{key}"
        _is(value, wanted[name], here)
        if name in _BELOW:
            _fields(value, _BELOW[name], here)
        for part, one in value.items() if name in _OBJECTS else ():
            if one is not None:
                _is(one, dict, f"{here}.{part}")
        for part, one in value.items() if name == "jobs" else ():
            _is(one, dict, f"{here}.{part}")
            _fields(one, _STEP, f"{here}.{part}")


def _is(value: Any, wanted: type, path: str) -> None:
    if not isinstance(value, wanted):
        raise user_error(f"{path} must be {_TYPES[wanted]}, not {value!r:.100}.")
