"""The pipeline's feature engineering of many rows, against the same function in a Spark session by hand."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from packages.localcloud.benchmarks.by_hand import DATA, engineer_by_hand, spark_session
from packages.localcloud.benchmarks.pairs import Comparison, seconds
from packages.localcloud.benchmarks.shell import ROOT, CommandFailed, run, shell_environment

_COMPLETED = re.compile(r"^step feature_engineering Completed after ([\d.]+) s")


def measure(rows: int) -> Callable[[int], Comparison]:
    """Return the measurement for a number of rows. The run is cancelled when its first step has completed."""

    def compare(pairs: int) -> Comparison:
        run("make", "up")
        env = shell_environment()
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            data = folder / "data.csv"
            write_rows(data, rows)
            with spark_session(folder) as spark:
                engineer_by_hand(spark, folder, data)
                measured = []
                for _ in range(pairs):
                    run(sys.executable, "-m", "packages.localcloud.benchmarks.warm_pool", env=env)
                    measured.append((_step_seconds(data, env), seconds(lambda: engineer_by_hand(spark, folder, data))))
        return Comparison(
            f"feature engineering, {rows:,} rows", "bare Spark", 1.05, [a for a, _ in measured],
            [b for _, b in measured],
        )  # fmt: skip

    return compare


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
