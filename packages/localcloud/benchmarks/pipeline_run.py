"""A run of the published pipeline with a warm pool, against its five programs run by hand, one after another."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from packages.localcloud.benchmarks.by_hand import DATA, engineered_by_hand, spark_session, trained_by_hand
from packages.localcloud.benchmarks.pairs import Comparison, compare
from packages.localcloud.benchmarks.shell import run, shell_environment

AIM = 1.3


def measure(pairs: int) -> Comparison:
    """Bring the platform up and publish the pipeline before anything is measured."""
    run("make", "up")
    env = shell_environment()
    words = ("-m", "mlops", "run", "--stack", "local", "--force", "--data", str(DATA))
    with TemporaryDirectory() as scratch, spark_session(Path(scratch)) as spark:
        folder = Path(scratch)

        def by_hand() -> None:
            engineered_by_hand(spark, folder)
            trained_by_hand(folder)

        return compare(
            "pipeline run",
            lambda: run(sys.executable, *words, env=env),
            "the five programs by hand",
            by_hand,
            aim=AIM,
            pairs=pairs,
            before=lambda: run(sys.executable, "-m", "packages.localcloud.benchmarks.warm_pool", env=env),
        )
