"""The list of the packages that notebook runs have."""

from __future__ import annotations

import re
from importlib.metadata import version

from localcloud.databricks.catalog import RUNNABLE, SPARK_VERSIONS
from localcloud.engine import notebook_runtime
from localcloud.engine.versions import DELTA, NOTEBOOK_RUNTIME


def _pins() -> dict[str, str]:
    lines = [line for line in notebook_runtime.PACKAGES.read_text().splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert len(pins) == len(lines), "each package is listed once"
    return pins


def test_every_package_has_one_version() -> None:
    for name, pinned in _pins().items():
        assert re.fullmatch(r"[a-z0-9-]+", name), f"{name}: names are written as the release notes write them"
        assert re.fullmatch(r"\d[\w.]*", pinned), f"{name}=={pinned}: an exact version"


def test_the_list_is_of_the_runtime_that_runs_here() -> None:
    assert all(key.startswith(f"{NOTEBOOK_RUNTIME}.x-") for key in RUNNABLE)
    assert set(SPARK_VERSIONS) >= RUNNABLE, "Databricks lists what runs here"
    assert not any("ml" in key for key in RUNNABLE), "runtimes for machine learning have other packages"
    pins = _pins()
    assert pins["delta-spark"] == DELTA, "Delta Lake's Python package and its jars are of one version"
    assert (pins["pandas"], pins["numpy"], pins["mlflow-skinny"]) == ("2.2.3", "2.1.3", "3.0.1"), (
        "release notes of 17.3"
    )


def test_pyspark_is_the_project_s_and_another_one_makes_another_environment() -> None:
    assert "pyspark" not in _pins()
    assert notebook_runtime._requirements().endswith(f"# linked: pyspark=={version('pyspark')}\n")
