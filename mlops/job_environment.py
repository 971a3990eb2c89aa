"""The environment of the pipeline's jobs: a base image, and the locked versions of the components' imports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import fingerprints
from mlops.errors import InvalidError

if TYPE_CHECKING:  # any Python can read the version, without the checkout's packages
    from mlops.specifications import TrainingPipeline

NAME = "dataopsml-training"
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20260315.v1"
# A constant, so that all publishers publish the same version, regardless of their checkout's Python.
_PYTHON = "3.12"
_LOCK = Path(__file__).resolve().parents[1] / "requirements.txt"
# skops is for reading: models that earlier versions of the pipeline registered are in its format, MLflow's default,
# and mlflow-skinny does not bring it.
_PACKAGES = (
    "azure-core", "azure-identity", "azure-monitor-opentelemetry-exporter", "cloudpickle", "databricks-sdk", "jinja2",
    "pandas", "pyarrow", "pydantic", "pyyaml", "scikit-learn", "skops",
)  # fmt: skip
_TABLES = "deltalake"
"""Package of pipelines that write Delta tables alone: it is larger than all others that steps import besides Arrow."""
# On Azure, MLflow reaches the workspace through azureml-mlflow, which allows mlflow-skinny up to 3.15.0; the lock's
# MLflow is newer. The components use only calls that both have. It allows azure-storage-blob up to 12.27.1 as well,
# which needs an older azure-storage-file-datalake than the lock's.
_ONLY_IN_JOBS = (
    "azureml-mlflow==1.62.0.post6", "mlflow-skinny==3.15.0", "azure-storage-blob==12.27.1",
    "azure-storage-file-datalake==12.22.0",
)  # fmt: skip


def name(pipeline: TrainingPipeline) -> str:
    """Return the environment's name: pipelines without packages of their own share one."""
    return own_name(pipeline) if packages(pipeline) else NAME


def own_name(pipeline: TrainingPipeline) -> str:
    """Return the name that a pipeline's environment has, if the pipeline has or had packages of its own."""
    return f"{NAME}-{pipeline.name}"


def packages(pipeline: TrainingPipeline, lock: Path = _LOCK) -> tuple[str, ...]:
    """Return the packages that the pipeline's environment has and other pipelines' have not.

    Raises InvalidError for a package of its own that the project has in its own version for pipelines with tables.
    """
    own, score = pipeline.specification.packages, pipeline.specification.score
    if score is None or score.format != "delta":
        return own
    if twice := [package for package in own if package.partition("==")[0].lower() == _TABLES]:
        raise InvalidError(f"packages: {twice[0]}: score.format delta brings {_TABLES}. Take it out of packages.")
    pins = dict(_pins(lock))
    if _TABLES not in pins:
        raise InvalidError(f"{lock.name} does not pin {_TABLES}: run `make lock`.")
    return (*own, f"{_TABLES}=={pins[_TABLES]}")


def conda_file(own: Sequence[str] = (), lock: Path = _LOCK) -> dict[str, Any]:
    """Return the environment in conda's format, with a pipeline's own packages.

    Raises InvalidError when the lock file does not pin a package, or pins it more than once, and for a package of a
    pipeline's own that every pipeline has.
    """
    locked = _pins(lock)
    pins = dict(locked)
    names = [name for name, _ in locked]
    if forked := [name for name in _PACKAGES if names.count(name) > 1]:
        raise InvalidError(f"{lock.name} pins {', '.join(forked)} more than once: jobs need one version of each.")
    missing = [name for name in _PACKAGES if name not in pins]
    if missing:
        raise InvalidError(f"{lock.name} does not pin {', '.join(missing)}: run `make lock`.")
    packages = [f"{name}=={pins[name]}" for name in _PACKAGES]
    taken = {package.partition("==")[0]: package for package in (*packages, *_ONLY_IN_JOBS)}
    for package in own:
        if existing := taken.get(package.partition("==")[0].lower().replace("_", "-")):
            raise InvalidError(f"packages: {package}: every pipeline has {existing}. Take it out of packages.")
    return {
        "name": NAME,
        "channels": ["conda-forge"],
        "dependencies": [f"python={_PYTHON}", "pip", {"pip": [*packages, *own, *_ONLY_IN_JOBS]}],
    }


def _pins(lock: Path) -> list[tuple[str, str]]:
    return re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)


def version(own: Sequence[str] = ()) -> str:
    """Follows from the content."""
    return fingerprints.of_values({"image": IMAGE, "conda": repr(conda_file(own))})[:12]
