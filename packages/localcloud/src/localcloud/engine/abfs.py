"""The ABFS driver (hadoop-azure) for Spark.

Spark 4.0's own Hadoop is 3.4.1 without hadoop-azure; the driver of 3.4.2 runs on it, and is the first that speaks to
either endpoint of an account. One jar is enough: Spark has the other names of hadoop-azure, or they serve the retired
WASB driver only (found by running with fewer and fewer jars, over HTTP and HTTPS).
"""

from __future__ import annotations

from pathlib import Path

from localcloud.engine import ivy
from localcloud.engine.install import install
from localcloud.engine.progress import Progress
from localcloud.engine.versions import HADOOP_AZURE

_SHA256 = {
    f"hadoop-azure-{HADOOP_AZURE}.jar": "f02ab756037abaecc45ea1869144ad3a69e25ccd84062bc37805837ca254e21c",
}
_KEY = f"abfs-{HADOOP_AZURE}"
_TITLE = f"ABFS driver {HADOOP_AZURE}"
_DEPENDENCY = f"""
    <dependency org="org.apache.hadoop" name="hadoop-azure" rev="{HADOOP_AZURE}" transitive="false"
                conf="default->master"/>"""


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

    def make(folder: Path) -> None:
        ivy.fetch(_TITLE, _DEPENDENCY, _SHA256, folder, java_home)

    with progress.task(f"Installing {_TITLE}"):
        install(cache, _KEY, make)
    return [cache / _KEY / name for name in _SHA256]
