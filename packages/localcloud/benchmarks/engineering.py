"""The pipeline's feature engineering of many rows, against the same function in a Spark session by hand."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packages.localcloud.benchmarks.by_hand import DATA, engineer_by_hand, spark_session
from packages.localcloud.benchmarks.pairs import Comparison, seconds
from packages.localcloud.benchmarks.shell import ROOT, CommandFailed, run, shell_environment

_COMPLETED = re.compile(r"^step feature_engineering Completed after ([\d.]+) s")
_AIM = 1.05
_FIRST = (sys.executable, "-m", "packages.localcloud.benchmarks.first_engineering")


@dataclass(frozen=True)
class _Measurement:
    """The job and its floors for a file of rows, in seconds. The run is cancelled when its first step has completed."""

    spark: Any
    folder: Path
    env: dict[str, str]

    def data(self, rows: int) -> Path:
        file = self.folder / f"rows{rows}.csv"
        if not file.exists():
            write_rows(file, rows)
        return file

    def job(self, rows: int) -> float:
        """Return the duration of the step in a pipeline's run whose pool has an idle driver."""
        run(sys.executable, "-m", "packages.localcloud.benchmarks.warm_pool", env=self.env)
        return _step_seconds(self.data(rows), self.env)

    def floor(self, rows: int) -> float:
        """Return the duration of the step's function, on a local file, in the session that has run it before."""
        return seconds(lambda: engineer_by_hand(self.spark, self.folder, self.data(rows)))

    def first(self, rows: int) -> float:
        """Return the duration of the function in a new session that has run a query of one row."""
        return float(run(*_FIRST, str(self.data(rows))).splitlines()[-1])

    def program(self, rows: int) -> float:
        """Return the duration of a program that starts Spark on a driver's settings and runs the function once."""
        return seconds(lambda: run(*_FIRST, str(self.data(rows)), "driver"))


@contextmanager
def _measurement() -> Iterator[_Measurement]:
    run("make", "up")
    _step_seconds(DATA, shell_environment())  # not counted: a pool's next instance starts after a run
    with TemporaryDirectory() as scratch, spark_session(Path(scratch)) as spark:
        yield _Measurement(spark, Path(scratch), shell_environment())


def measure(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement for a number of rows against a session that has run the function on them before."""

    def compare(pairs: int) -> Comparison:
        with _measurement() as measurement:
            measurement.floor(rows)
            measured = [(measurement.job(rows), measurement.floor(rows)) for _ in range(pairs)]
        return _comparison(f"feature engineering, {rows:,} rows", "bare Spark", measured)

    return compare


def measure_first(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement for a number of rows against a new session, as the run's own is."""
    return _against("bare Spark, new session", rows, _Measurement.first)


def measure_program(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement for a number of rows against a Spark program of its own, from its start to its end."""
    return _against("Spark program", rows, _Measurement.program)


def _against(floor_name: str, rows: int, floor: Callable[[_Measurement, int], float]) -> Callable[[int], Comparison]:
    def compare(pairs: int) -> Comparison:
        with _measurement() as measurement:
            measured = [(measurement.job(rows), floor(measurement, rows)) for _ in range(pairs)]
        return _comparison(f"feature engineering, {rows:,} rows", floor_name, measured)

    return compare


def measure_slope(few: int, many: int) -> Callable[[int], Comparison]:
    """Return the measurement of a million rows more: the slope between two sizes, without the fixed part of a run."""

    def compare(pairs: int) -> Comparison:
        with _measurement() as measurement:

            def slope(duration: Callable[[int], float]) -> float:
                return (duration(many) - duration(few)) / (many - few) * 10**6

            measurement.floor(few)
            measured = [(slope(measurement.job), slope(measurement.floor)) for _ in range(pairs)]
        return _comparison("feature engineering, a million rows more", "bare Spark", measured)

    return compare


def _comparison(name: str, floor_name: str, measured: list[tuple[float, float]]) -> Comparison:
    return Comparison(name, floor_name, _AIM, [job for job, _ in measured], [floor for _, floor in measured])


def write_rows(file: Path, rows: int, without: str = "") -> None:
    """Write rows whose columns are drawn independently from the shipped file's. `without`: a column to leave out."""
    import pandas

    shipped = pandas.read_csv(DATA).convert_dtypes()  # whole numbers stay whole beside missing ones
    drawn = {name: shipped[name].dropna().sample(rows, replace=True, random_state=number).to_numpy()
             for number, name in enumerate(shipped.columns) if name != without}  # fmt: skip
    pandas.DataFrame(drawn).to_csv(file, index=False)


def _step_seconds(data: Path, env: dict[str, str]) -> float:
    import os

    words = [sys.executable, "-m", "mlops", "run", "--stack", "local", "--force", "--data", str(data)]
    with subprocess.Popen(
        words, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if match := _COMPLETED.match(line):
                process.send_signal(signal.SIGINT)
                process.communicate()
                return float(match[1])
    raise CommandFailed(f"{' '.join(words)} ended without the step:\n{''.join(lines)}")
