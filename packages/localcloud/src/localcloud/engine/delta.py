"""Delta Lake's jars for Spark, in the version of Databricks Runtime 17.3 LTS (its release notes: Delta Lake 4.0.0).

Two jars are all: Spark has their other dependencies (ANTLR, Jackson).
"""

from __future__ import annotations

from pathlib import Path

from localcloud.engine import ivy
from localcloud.engine.install import install
from localcloud.engine.progress import Progress
from localcloud.engine.versions import DELTA

_SHA256 = {
    f"delta-spark_2.13-{DELTA}.jar": "538511702aae0ef6973a6a70af3d4543c9009f8edbed786a00737e2d3cd7f04e",
    f"delta-storage-{DELTA}.jar": "9bdb9fb450f1e119eba53feb427f331b0d09072d26485b8273883ad72c9a2e1d",
}
_KEY = f"delta-{DELTA}"
_TITLE = f"Delta Lake {DELTA}"
_DEPENDENCIES = "".join(
    f'\n    <dependency org="io.delta" name="{name}" rev="{DELTA}" transitive="false" conf="default->master"/>'
    for name in ("delta-spark_2.13", "delta-storage")
)


def installed_jars(cache: Path) -> list[Path] | None:
    """Return the jars if the cache has them all."""
    jars = [cache / _KEY / name for name in _SHA256]
    return jars if all(jar.is_file() for jar in jars) else None


def ensure_jars(cache: Path, java_home: Path, progress: Progress) -> list[Path]:
    """Return the jars, fetched and checked against their hashes first if need be.

    Raises LocalcloudError when they cannot be fetched or have other hashes.
    """
    if installed := installed_jars(cache):
        return installed
    with progress.task(f"Installing {_TITLE}"):
        install(cache, _KEY, lambda folder: ivy.fetch(_TITLE, _DEPENDENCIES, _SHA256, folder, java_home))
    return [cache / _KEY / name for name in _SHA256]
