"""Scoring of a file of many rows, against a Spark program that reads, predicts by pandas_udf and writes.

A run's two steps that read the rows are the job: `prepare`, on a warm pool's driver, and `score`. The floor is a
program of its own, from its start to its end, or its work alone in a session that is up and has done it before.
"""

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

import psutil

from packages.localcloud.benchmarks.bare_scoring import score_by_hand
from packages.localcloud.benchmarks.by_hand import engineered_by_hand, spark_session, trained_by_hand
from packages.localcloud.benchmarks.engineering import write_rows
from packages.localcloud.benchmarks.pairs import Comparison, seconds
from packages.localcloud.benchmarks.shell import CommandFailed, run, shell_environment

_STEPS = ("prepare", "score")
_COMPLETED = re.compile(r"^step (\w+) Completed after ([\d.]+) s", re.MULTILINE)
_SAMPLE_SECONDS = 0.2
_MIB = 2**20
_FEW = 1000
_PROGRAM, _SESSION = "Spark program", "warm Spark session"


@dataclass
class _Peak:
    """The largest resident memory of some processes, in MiB."""

    mib: float = 0.0


def measure(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement of seconds for a number of rows, against a program from its start to its end."""

    def compare(pairs: int) -> Comparison:
        jobs, floors = [], []
        with _by_hand(rows) as (folder, data):
            for _ in range(pairs):
                jobs.append(_scoring_seconds(data))
                floors.append(_program_seconds(folder, data))
        return Comparison(f"scoring, {rows:,} rows", _PROGRAM, 1.2, jobs, floors)

    return compare


def measure_warm(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement of seconds against the work alone, in a session that has done it before."""

    def compare(pairs: int) -> Comparison:
        jobs, floors = [], []
        with _by_hand(rows) as (folder, data), spark_session(folder) as spark:
            score_by_hand(spark, folder, data)
            for _ in range(pairs):
                jobs.append(_scoring_seconds(data))
                floors.append(seconds(lambda: score_by_hand(spark, folder, data)))
        return Comparison(f"scoring, {rows:,} rows", _SESSION, None, jobs, floors)

    return compare


def measure_rows(fewer: int, more: int) -> Callable[[int], Comparison]:
    """Return the measurement of the seconds that a million rows more take: the fixed part is in neither number."""

    def compare(pairs: int) -> Comparison:
        jobs, floors = [], []
        millions = (more - fewer) / 10**6
        with _by_hand(fewer) as (folder, data), TemporaryDirectory() as scratch:
            longer = Path(scratch) / "rows.csv"
            write_rows(longer, more, without="progression")
            for _ in range(pairs):
                jobs.append((_scoring_seconds(longer) - _scoring_seconds(data)) / millions)
                floors.append((_program_seconds(folder, longer) - _program_seconds(folder, data)) / millions)
        name = f"scoring, a million rows more of {fewer:,} to {more:,}"
        return Comparison(name, _PROGRAM, 1.2, jobs, floors)

    return compare


def measure_memory(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement of peak memory for a number of rows: the driver with its JVM, and the step `score`."""

    def compare(pairs: int) -> Comparison:
        jobs, floors = [], []
        with _by_hand(rows) as (folder, data):
            for _ in range(pairs):
                with _peak(_run_processes) as peak:
                    _scoring_seconds(data)
                jobs.append(peak.mib)
                with _peak(_children) as peak:
                    _program_seconds(folder, data)
                floors.append(peak.mib)
        return Comparison(f"memory of scoring, {rows:,} rows", _PROGRAM, None, jobs, floors, unit="MiB")

    return compare


@contextmanager
def _by_hand(rows: int) -> Iterator[tuple[Path, Path]]:
    """Yield a folder with a model that was trained by hand, and a file of rows; the stack is up."""
    run("make", "up")
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = folder / "rows.csv"
        write_rows(data, rows, without="progression")
        with spark_session(folder) as spark:
            engineered_by_hand(spark, folder)
        trained_by_hand(folder)
        few = folder / "few.csv"
        write_rows(few, _FEW, without="progression")
        _run(few)  # not counted: localcloud starts a pool's next instance after a run, and not when it is started
        yield folder, data


def _run(data: Path) -> str:
    """Score a file, and return the output of the verb."""
    words = (sys.executable, "-m", "mlops", "score", "--stack", "local", "--again", str(data))
    return run(*words, env=shell_environment())


def _program_seconds(folder: Path, data: Path) -> float:
    program = (sys.executable, "-m", "packages.localcloud.benchmarks.bare_scoring", str(folder), str(data))
    return seconds(lambda: run(*program))


def _scoring_seconds(data: Path) -> float:
    """Return the seconds of both steps by the run's own clock, once the instance pool has an idle instance."""
    run(sys.executable, "-m", "packages.localcloud.benchmarks.warm_pool", env=shell_environment())
    text = _run(data)
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


def _children() -> Iterator[psutil.Process]:
    yield from psutil.Process().children(recursive=True)


def _run_processes() -> Iterator[psutil.Process]:
    """Yield the processes below localcloud's home: drivers with their JVMs, and steps of jobs."""
    home = str(Path(os.environ["LOCALCLOUD_HOME"]))
    for process in psutil.process_iter(["cwd", "environ"]):
        job = "AZUREML_RUN_ID" in (process.info["environ"] or {})
        driver = f"{home}/drivers" in str(process.info["cwd"])
        if (job and str(process.info["cwd"]).startswith(home)) or driver:
            yield process
