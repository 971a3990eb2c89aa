"""The declaration of an Azure ML environment's version: a Python version and pip requirements.

Clients send an image, with or without a conda file, or a Docker build context (azure-ai-ml
`entities/_assets/environment.py`: `image`, `condaFile` as YAML text, `build`). There is no Docker here and no conda:
pip requirements of a conda file can be installed exactly, everything else is refused with a text that shows the right
declaration of packages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import yaml

from localcloud.azureml.common import user_error
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.engine.python_runtime import PYTHON

HOW_TO_DECLARE = (
    f"Declare the packages in a conda file, with 'python={PYTHON}', 'pip' and a list 'pip:' of requirements below "
    "'dependencies', on an image such as mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
)
_SAME_ON_PYPI = frozenset({"pip", "setuptools", "wheel"})
_KEYS = frozenset({"name", "channels", "dependencies", "prefix"})
_MATCH_SPEC = re.compile(r"(?:[\w.\-/]+::)?([A-Za-z0-9_.\-]+)\s*(.*)")
_PYTHON_VERSION = re.compile(r"={1,2}\s*(\d+\.\d+)(\.\d+)?(?:\.\*)?")
_BASE_IMAGE = re.compile(r"mcr\.microsoft\.com/azureml/openmpi[^/]*", re.IGNORECASE)
"""Azure ML's base images for training: Python with pip, no packages (Azure/AzureML-Containers)."""
_LOCAL_FILE = re.compile(r"(-r|-c|-e|--requirement|--constraint|--editable|--find-links|-f)\b|[./~]|.*@\s*file:|file:")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
"""Text that pip replaces by a variable of its environment, as uv does, unless it is not set or in a comment (pip
`_internal/req/req_file.py`: COMMENT_RE, ENV_VAR_RE; pip.pypa.io "Requirements File Format")."""


@dataclass(frozen=True)
class Declaration:
    """`notes` are lines for the build's log; `warnings` are for the log of each job too."""

    python: str
    requirements: tuple[str, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines of a requirements file."""
        return "".join(f"{line}\n" for line in self.requirements)


def declaration(name: str, properties: Mapping[str, Any]) -> Declaration:
    """Return the declaration of a version; `name` is "NAME:VERSION", for messages.

    Raises ServiceError 501 for packages that cannot be determined or installed here, 400 for an invalid conda file.
    """
    check_buildable(name, properties)
    if properties.get("condaFile"):
        return _conda_declaration(name, properties)
    image = str(properties.get("image"))
    if _BASE_IMAGE.fullmatch(image) is None:
        raise not_emulated(f"the packages that are in the image '{image}' of environment '{name}'. {HOW_TO_DECLARE}")
    note = f"The image {image} is not pulled: the environment is Python {PYTHON} with pip and no packages."
    return Declaration(PYTHON, ("pip",), (note,))


def check_buildable(name: str, properties: Mapping[str, Any]) -> None:
    """Refuse environments that localcloud cannot build, and Azure ML would. Raises ServiceError 501 or 400."""
    if properties.get("build"):
        raise not_emulated(f"Docker build contexts, such as of environment '{name}'. {HOW_TO_DECLARE}")
    if properties.get("condaFile"):
        _conda_declaration(name, properties)


def earlier(declared: Declaration) -> Declaration:
    """Return the environment of a version that was registered before localcloud built environments.

    Its jobs ran with the checkout's packages. Published pipelines depend on an undeclared one: skops, in which MLflow
    3.15 saves scikit-learn models (mlflow-skinny has no such dependency).
    """
    if any(re.match(r"skops\b", line) for line in declared.requirements):
        return declared
    try:
        skops = f"skops=={metadata.version('skops')}"
    except metadata.PackageNotFoundError:
        skops = "skops"
    warning = (
        "This environment was registered before localcloud built environments, and its jobs had skops without "
        "declaring it. It is added here; on Azure a job that needs it would fail. Register a version that declares it."
    )
    return replace(declared, requirements=(*declared.requirements, skops), warnings=(*declared.warnings, warning))


def local_file(requirements: tuple[str, ...]) -> str | None:
    """Return the first line that names a file of this machine: Azure ML's builds have the conda file alone."""
    return next((line for line in requirements if _LOCAL_FILE.match(line.strip())), None)


def with_variable(requirements: tuple[str, ...]) -> str | None:
    """Return the first line that names a variable of this machine: Azure ML's builds have others."""
    return next((line for line in requirements if _VARIABLE.search(_COMMENT.sub("", line))), None)


def _conda_declaration(name: str, properties: Mapping[str, Any]) -> Declaration:
    content = _parsed(name, properties["condaFile"])
    if unknown := sorted(set(map(str, content)) - _KEYS):
        raise not_emulated(f"'{unknown[0]}' in the conda file of environment '{name}'. {HOW_TO_DECLARE}")
    pythons: list[str] = []
    requirements: list[str] = []
    python: str | None = None
    notes = [f"The image {properties.get('image')} is not pulled: the environment has the conda file's packages alone."]
    for entry in content.get("dependencies") or []:
        if isinstance(entry, dict) and set(entry) == {"pip"}:
            requirements += _pip_lines(name, entry["pip"])
            continue
        match = _MATCH_SPEC.fullmatch(str(entry).strip()) if isinstance(entry, str) else None
        if match is None:
            raise user_error(f"The conda file of environment '{name}' is not valid: {entry!r} is no dependency.")
        package, constraint = match[1].lower(), match[2].strip()
        if package == "python":
            pythons.append(str(entry))
            python = _python_version(name, str(entry), constraint, notes)
        elif package in _SAME_ON_PYPI:
            requirements.append(package + _pip_constraint(constraint))
        else:
            raise not_emulated(
                f"packages of conda channels, such as '{entry}' of environment '{name}'. {HOW_TO_DECLARE}"
            )
    if len(pythons) > 1:
        raise user_error(
            f"The conda file of environment '{name}' is not valid: it names Python more than once "
            f"({', '.join(map(repr, pythons))}). Name one version, as in 'python={PYTHON}'."
        )
    if python is None:
        raise not_emulated(
            f"conda files without a Python version, such as of environment '{name}', for which conda would take "
            f"its newest one: add 'python={PYTHON}' to the dependencies"
        )
    return Declaration(python, tuple(requirements), tuple(notes))


def _pip_lines(name: str, content: Any) -> list[str]:
    """Return the lines of the requirements file: conda writes an entry of several lines as several, too."""
    lines = [] if content is None else content
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise user_error(f"The conda file of environment '{name}' is not valid: 'pip' has no list of requirements.")
    return [line for entry in lines for line in entry.splitlines()]


def _parsed(name: str, text: Any) -> Json:
    try:
        content = yaml.safe_load(text) if isinstance(text, str) else text
    except yaml.YAMLError as error:
        raise user_error(f"The conda file of environment '{name}' is not YAML: {error}") from error
    dependencies = content.get("dependencies") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(dependencies, list | None):
        raise user_error(f"The conda file of environment '{name}' is not valid: it needs a list 'dependencies'.")
    return content


def _python_version(name: str, entry: str, constraint: str, notes: list[str]) -> str:
    match = _PYTHON_VERSION.fullmatch(constraint)
    if match is None:
        raise _python_refused(name, entry)
    if match[2]:
        notes.append(f"Of Python {match[1]}, localcloud has one release: not necessarily {match[1]}{match[2]}.")
    return match[1]


def _python_refused(name: str, entry: str) -> ServiceError:
    return not_emulated(
        f"a choice of Python versions such as '{entry}' in the conda file of environment '{name}', for which conda "
        f"would take its newest: name one, as in 'python={PYTHON}'"
    )


def _pip_constraint(constraint: str) -> str:
    """Write a conda requirement for pip: "=1.2", any release of 1.2, is "==1.2.*"; the rest is the same."""
    if match := re.fullmatch(r"=\s*([\w.]+?)(?:\.\*)?", constraint):
        return f"=={match[1]}.*"
    return constraint
