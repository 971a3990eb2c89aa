"""The Python environment of notebook runs: the packages that the pinned Databricks Runtime ships, on Python 3.12.

The list is requirements/databricks-17.3.txt. pyspark is not installed from the registry, where it is a source archive
whose build takes most of a minute and 900 MB: its files are linked from the environment that runs localcloud, which
pins the same version.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from importlib.metadata import version
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.engine import python_environments
from localcloud.engine.install import run
from localcloud.engine.progress import Progress
from localcloud.engine.versions import ENGINE, NOTEBOOK_RUNTIME

PACKAGES = ENGINE / "requirements" / f"databricks-{NOTEBOOK_RUNTIME}.txt"
_NAME = f"Databricks Runtime {NOTEBOOK_RUNTIME}"
_OPTIONS = ("--no-deps", "--no-compile-bytecode")
"""The list names every package, and some name others that are left out. Compiled ones are in `_COMPILED`."""
_COMPILED = (
    "IPython", "cloudpickle", "databricks", "dateutil", "delta", "google", "joblib", "matplotlib", "mlflow", "numpy",
    "opentelemetry", "pandas", "py4j", "pyarrow", "pydantic", "pyspark", "pytz", "requests", "scipy", "sklearn",
    "urllib3", "yaml",
)  # fmt: skip
"""Packages that notebooks often import: all of them compiled would be 360 MB, a third of it plotly and azure."""


def installed_python(cache: Path, python: Path) -> Path | None:
    """Return the environment's interpreter if the environment is there; `python` is the interpreter it is made with."""
    home = python_environments.find(cache, python, _requirements(), options=_OPTIONS)
    return None if home is None else home / "bin" / "python"


def ensure_python(cache: Path, python: Path, progress: Progress) -> Path:
    """Return the environment's interpreter, with the environment built first if need be.

    Raises LocalcloudError with the end of the build's log when the build fails.
    """
    if installed := installed_python(cache, python):
        return installed
    with progress.task(f"Installing the packages of {_NAME}"):
        log = cache / "environments" / f"databricks-{NOTEBOOK_RUNTIME}.{os.getpid()}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            home = python_environments.ensure(
                cache, _NAME, python, _requirements(), log, options=_OPTIONS, finish=_finish
            )
        finally:
            log.unlink(missing_ok=True)
    return home / "bin" / "python"


def _requirements() -> str:
    return f"{PACKAGES.read_text(encoding='utf-8')}# linked: pyspark=={version('pyspark')}\n"


def _finish(home: Path) -> None:
    """Add pyspark to the environment, and compile."""
    target = next((home / "lib").glob("python3*")) / "site-packages"
    source = Path(sysconfig.get_path("purelib"))
    folders = [source / "pyspark", source / f"pyspark-{version('pyspark')}.dist-info"]
    if not all(folder.is_dir() for folder in folders):
        raise LocalcloudError(f"pyspark is not installed in {source}: reinstall localcloud.")
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                copy = target / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file, copy)
                except OSError:  # another file system
                    shutil.copy2(file, copy)
    compiled = [target / name for name in _COMPILED]
    compileall: list[str | Path] = [home / "bin" / "python", "-m", "compileall", "-q", "-j", "0"]
    run(_NAME, [*compileall, *(folder for folder in compiled if folder.is_dir())])
