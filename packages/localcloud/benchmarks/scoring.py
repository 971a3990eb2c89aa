"""Scoring of a file of many rows, against Spark that reads, predicts by pandas_udf and writes in a session by hand."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from packages.localcloud.benchmarks.by_hand import engineered_by_hand, spark_session, trained_by_hand
from packages.localcloud.benchmarks.engineering import write_rows
from packages.localcloud.benchmarks.pairs import Comparison, seconds
from packages.localcloud.benchmarks.shell import CommandFailed, run, shell_environment

_STEPS = ("prepare", "score")
_COMPLETED = re.compile(r"^step (\w+) Completed after ([\d.]+) s", re.MULTILINE)
_SAMPLE_SECONDS = 0.2
_MIB = 2**20


@dataclass
class _Peak:
    """The largest resident memory of some processes, in MiB."""

    mib: float = 0.0


def measure(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement of seconds for a number of rows: both steps that read the rows, by the run's own clock."""
    return lambda pairs: Comparison(
        f"scoring, {rows:,} rows", "bare Spark", 1.2, *_measured(rows, pairs, lambda took, _: took)
    )


def measure_memory(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement of peak memory for a number of rows: the driver with its JVM, and the step `score`."""
    return lambda pairs: Comparison(
        f"memory of scoring, {rows:,} rows", "bare Spark", None, *_measured(rows, pairs, lambda _, peak: peak),
        unit="MiB",
    )  # fmt: skip


def _measured(rows: int, pairs: int, value: Callable[[float, float], float]) -> tuple[list[float], list[float]]:
    run("make", "up")
    env = shell_environment()
    jobs, floors = [], []
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = folder / "rows.csv"
        write_rows(data, rows, without="progression")
        with spark_session(folder) as spark:
            engineered_by_hand(spark, folder)
            trained_by_hand(folder)
            _scored_by_hand(spark, folder, data)
            for _ in range(pairs):
                run(sys.executable, "-m", "packages.localcloud.benchmarks.warm_pool", env=env)
                with _peak(_run_processes) as peak:
                    took = _scoring_seconds(data, env)
                jobs.append(value(took, peak.mib))
                with _peak(_by_hand) as peak:
                    took = seconds(lambda: _scored_by_hand(spark, folder, data))
                floors.append(value(took, peak.mib))
    return jobs, floors


def _scored_by_hand(spark: Any, folder: Path, data: Path) -> None:
    """Read, make features, predict and write, without a check of anything."""
    import mlflow
    from pyspark.sql.types import StructType

    from notebooks.lib.diabetes import SCHEMA, complete_rows

    schema = StructType([field for field in SCHEMA.fields if field.name != "progression"])
    features = complete_rows(spark.read.csv(data.as_uri(), schema=schema, header=True))
    predict = mlflow.pyfunc.spark_udf(spark, (folder / "model").as_uri(), result_type="double", env_manager="local")
    names = [name for name in features.columns if name in schema.names]
    scored = features.withColumn("prediction", predict(*names)).select("age", "sex", "prediction")
    scored.write.mode("overwrite").parquet((folder / "scored").as_uri())


def _scoring_seconds(data: Path, env: dict[str, str]) -> float:
    text = run(sys.executable, "-m", "mlops", "score", "--stack", "local", "--again", str(data), env=env)
    took = {name: float(duration) for name, duration in _COMPLETED.findall(text)}
    if not took.keys() >= set(_STEPS):
        raise CommandFailed(f"the scoring ended without the steps {' and '.join(_STEPS)}:\n{text}")
    return sum(took[step] for step in _STEPS)


@contextmanager
def _peak(processes: Callable[[], Iterator[psutil.Process]]) -> Iterator[_Peak]:
    """Watch the memory of processes until the block ends."""
    peak, done = _Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            total = 0
            for process in processes():
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak.mib = max(peak.mib, total / _MIB)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _by_hand() -> Iterator[psutil.Process]:
    own = psutil.Process()
    yield own
    yield from own.children(recursive=True)


def _run_processes() -> Iterator[psutil.Process]:
    """Yield the processes below localcloud's home: drivers with their JVMs, and steps of jobs."""
    home = str(Path(os.environ["LOCALCLOUD_HOME"]))
    for process in psutil.process_iter(["cwd", "environ"]):
        job = "AZUREML_RUN_ID" in (process.info["environ"] or {})
        driver = f"{home}/drivers" in str(process.info["cwd"])
        if (job and str(process.info["cwd"]).startswith(home)) or driver:
            yield process
