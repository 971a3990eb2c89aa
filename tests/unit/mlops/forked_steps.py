"""Runs the components' programs as processes of their own that have MLflow and scikit-learn imported already.

Importing them takes most of a step's time, so one process does it once and forks for every step. Packages that a step
imports besides are imported before the next one. Run as a program it reads a step a line, {program, words, variables,
out, err}, and answers its exit code.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_MLFLOW = (
    "mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store",
    "pyarrow.parquet", "skops.io",
)  # fmt: skip


class Steps:
    """Forked steps, to be closed; `environment` is every step's, `modules` are imported beside MLflow's or alone."""

    def __init__(
        self, environment: Mapping[str, str], folder: Path, modules: Sequence[str] = (), *, mlflow: bool = True
    ) -> None:
        self._folder = folder
        self._parent = subprocess.Popen(
            [sys.executable, __file__, *(_MLFLOW if mlflow else ()), *modules],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, program: Path, words: list[str], variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the program with the words, and `variables` on top of the environment of every step."""
        out, err = self._folder / "out", self._folder / "err"
        requests, answered = _pipe(self._parent.stdin), _pipe(self._parent.stdout)
        step = {
            "program": str(program), "words": words, "variables": dict(variables or {}), "out": str(out),
            "err": str(err),
        }  # fmt: skip
        requests.write(json.dumps(step) + "\n")
        requests.flush()
        code = int(answered.readline())
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())

    def close(self) -> None:
        self._parent.kill()  # it has nothing to finish, and takes seconds to take itself apart
        self._parent.communicate()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _serve() -> None:
    _import(sys.argv[1:])
    for line in sys.stdin:
        step = json.loads(line)
        # Forked processes neither collect imported objects nor copy their memory for that.
        gc.freeze()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.environ.update(step["variables"])
            _become(Path(step["program"]), step["words"], step["out"], step["err"], writing)
            return
        os.close(writing)
        with os.fdopen(reading) as more:
            modules = more.read().split()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
        _import(modules)


def _import(modules: Sequence[str]) -> None:
    """Import modules, and MLflow's map of all installed packages, which it reads at its first model."""
    for module in modules:
        importlib.import_module(module)
    if "mlflow" in sys.modules:
        from mlflow.utils import requirements_utils

        requirements_utils._init_modules_to_packages_map()


def _become(program: Path, words: list[str], out: str, err: str, modules: int) -> None:
    """Run `python program.py` in its folder, in this forked process, and write the names of packages' new modules."""
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(program.parent)
    sys.path[0], sys.argv = str(program.parent), [program.name, *words]
    known = set(sys.modules)
    try:
        runpy.run_path(str(program), run_name="__main__")
    finally:
        packages = sysconfig.get_path("purelib")
        names = [
            name for name, module in sys.modules.items()
            if name not in known and str(getattr(module, "__file__", None)).startswith(packages)
        ]  # fmt: skip
        os.write(modules, " ".join(names).encode())


if __name__ == "__main__":
    _serve()
