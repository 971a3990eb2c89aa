"""`make up` after an edit, against the programs that have to run again, by hand."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from packages.localcloud.benchmarks.by_hand import engineered_by_hand, spark_session, trained_by_hand
from packages.localcloud.benchmarks.pairs import Comparison, compare
from packages.localcloud.benchmarks.shell import ROOT, run, shell_environment

AIM = 1.3
_TRAIN = ROOT / "mlops" / "pipelines" / "diabetes" / "components" / "train" / "src" / "train.py"
_NOTEBOOK = ROOT / "notebooks" / "feature_engineering.py"


def measure_train(pairs: int) -> Comparison:
    """Edit the train component's program: its three programs run again."""
    with _ready(_TRAIN) as (folder, edit):
        edit()  # the run that is not counted is one after an edit, too
        return compare(
            "make up, train edited",
            lambda: run("make", "up"),
            "its three programs by hand",
            lambda: trained_by_hand(folder),
            aim=AIM,
            pairs=pairs,
            before=edit,
        )


def measure_notebook(pairs: int) -> Comparison:
    """Edit the notebook: all five programs run again."""
    with _ready(_NOTEBOOK) as (folder, edit), spark_session(folder) as spark:
        env = shell_environment()

        def before() -> None:
            edit()
            run(sys.executable, "-m", "packages.localcloud.benchmarks.warm_pool", env=env)

        def by_hand() -> None:
            engineered_by_hand(spark, folder)
            trained_by_hand(folder)

        edit()  # the run that is not counted uses the pool, which is filled again after it
        return compare(
            "make up, notebook edited",
            lambda: run("make", "up"),
            "the five programs by hand",
            by_hand,
            aim=AIM,
            pairs=pairs,
            before=before,
        )


@contextmanager
def _ready(program: Path) -> Iterator[tuple[Path, Callable[[], object]]]:
    """Bring the platform up and engineer the data by hand. Yield a folder and a function that edits the program."""
    text = program.read_text(encoding="utf-8")
    run("make", "up")
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with spark_session(folder) as spark:
            engineered_by_hand(spark, folder)
        try:
            yield folder, lambda: program.write_text(f"{text}\n# Edited at {time.time()}.\n", encoding="utf-8")
        finally:
            program.write_text(text, encoding="utf-8")
