"""The pipeline's five programs by hand: no endpoint, no jobs, no storage but the local disk.

The notebook's function runs in a Spark session that is up already, as a warm pool has one, and the four other
programs as processes with a file-based MLflow.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from packages.localcloud.benchmarks.shell import ROOT, run

DATA = ROOT / "data" / "diabetes.csv"
_COMPONENTS = ROOT / "mlops" / "components"
_PIPELINE = ROOT / "mlops" / "pipelines" / "diabetes" / "components"


@contextmanager
def spark_session(scratch: Path) -> Iterator[Any]:
    from localcloud.core.settings import load_settings
    from localcloud.databricks.launch import find_tools
    from localcloud.engine.java_runtime import jvm_options

    java_home = find_tools(load_settings()).java_home
    options = {
        "spark.master": "local[*]",
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": shlex.join(jvm_options(scratch)),
    }
    with _session(java_home, options) as session:
        yield session


@contextmanager
def driver_session(scratch: Path) -> Iterator[Any]:
    """Yield a session on the settings of a driver of localcloud's: its memory, its JVM's options, its extensions."""
    from localcloud.core.settings import load_settings
    from localcloud.databricks.launch import find_tools, launch_conf

    settings = load_settings()
    tools = find_tools(settings)
    (scratch / "tmp").mkdir(parents=True, exist_ok=True)
    # The archive of classes is of the jars of that Spark, by their paths.
    os.environ["SPARK_HOME"] = str(next(tools.python.parents[1].glob("lib/python*/site-packages/pyspark")))
    with _session(tools.java_home, launch_conf(settings, tools, scratch)) as session:
        yield session


@contextmanager
def _session(java_home: Path, options: Mapping[str, str]) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable  # workers of a UDF need its packages
    os.environ["JAVA_HOME"] = str(java_home)
    os.environ["SPARK_LAUNCHER_OPTS"] = "-XX:-UsePerfData"
    builder = SparkSession.builder
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()


def engineered_by_hand(spark: Any, folder: Path) -> None:
    """Run the notebook's function on the shipped file, and the check of its counts."""
    engineer_by_hand(spark, folder, DATA)
    _program(
        "check_data", _environment(folder), engineered=folder / "engineered", checked=folder / "checked",
        serving_version="none",
    )  # fmt: skip


def engineer_by_hand(spark: Any, folder: Path, data: Path) -> None:
    """Run the notebook's function on a local file."""
    from mlops import specifications
    from notebooks.lib.diabetes import SCHEMA, complete_rows
    from notebooks.lib.engineering import engineer

    specification = specifications.load("diabetes").specification
    contract = specification.data_contract.notebook_json(specification.target)
    engineer(spark, data.as_uri(), (folder / "engineered").as_uri(), SCHEMA, complete_rows, contract)


def trained_by_hand(folder: Path) -> None:
    """Run the three training programs on the engineered and checked data."""
    env = _environment(folder)
    names = ("engineered", "checked", "model", "held_out", "evaluation", "report")
    out = {name: folder / name for name in names}
    _program("train", env, engineered=out["engineered"], alpha="1.0", model=out["model"], held_out=out["held_out"])
    _program(
        "evaluate", env, model=out["model"], held_out=out["held_out"], checked=out["checked"],
        evaluation=out["evaluation"],
    )  # fmt: skip
    _program(
        "register", env, model=out["model"], evaluation=out["evaluation"], code_version="0",
        commit="0", data_version="0", notebook="by hand", environment="by hand", report=out["report"],
    )  # fmt: skip


def _environment(folder: Path) -> dict[str, str]:
    from mlops import specifications

    specification = specifications.load("diabetes").specification.model_copy(update={"model": "by-hand"})
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "AZUREML_PARAMETER_specification": specification.model_dump_json(),
    }


def _program(name: str, env: dict[str, str], **arguments: Path | str) -> None:
    """Run a component's program: its command line has the paths, variables have the literal inputs, as in Azure ML.

    The model's folder may be there from the pair before.
    """
    if name == "train":
        shutil.rmtree(arguments["model"], ignore_errors=True)
    paths = {key: value for key, value in arguments.items() if isinstance(value, Path)}
    words = [word for key, value in paths.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    env = env | {f"AZUREML_PARAMETER_{key}": str(value) for key, value in arguments.items() if key not in paths}
    own = _PIPELINE / name / "src"
    source = own if own.exists() else _COMPONENTS / name / "src"
    run(sys.executable, str(source / f"{name}.py"), *words, cwd=Path(env["TMPDIR"]), env=env)
