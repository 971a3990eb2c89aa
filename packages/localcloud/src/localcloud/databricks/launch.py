"""The start of a driver: its JVM, class path, cluster defaults and environment, and the storage options of a run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from localcloud.core.errors import ConfigurationError
from localcloud.core.settings import Settings
from localcloud.databricks import driver_memory
from localcloud.databricks.runtime.local_files import address
from localcloud.engine import (
    abfs,
    delta,
    java_runtime,
    notebook_runtime,
    probes,
    python_environments,
    python_runtime,
    toolchain,
    vended_sas,
)
from localcloud.engine.versions import NOTEBOOK_RUNTIME

_JAVA_OPTIONS = "LOCALCLOUD_DRIVER_JAVA_OPTIONS"
"""The variable with more options of the driver JVM, as a command line has them."""
_COLLECTOR = re.compile(r"-XX:\+Use\w*GC\b")
_START = Path(__file__).resolve().parent / "runtime" / "start.py"
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "USER")


@dataclass(frozen=True)
class SparkTools:
    """The machine's tools: a Java home (17 or 21), jars, and the Python of the environment with the runtime's packages.

    The jars are the ABFS driver, Delta Lake, and the provider of ABFS' credentials.
    """

    java_home: Path
    jars: tuple[Path, ...]
    python: Path


def launch_conf(settings: Settings, tools: SparkTools, folder: Path) -> dict[str, str]:
    """Return the cluster's own defaults, before any spark_conf. Keys and values of Spark."""
    java = [
        *map(shlex.quote, java_runtime.jvm_options(_scratch(folder))),
        f"-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={settings.proxy_port}",
        "-Dhttp.nonProxyHosts=localhost|127.*",
        shlex.quote(f"-Djavax.net.ssl.trustStore={settings.tls / 'truststore.p12'}"),
        "-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit",
        "-Duser.timezone=UTC",
        *collector(os.environ.get(_JAVA_OPTIONS, "")),
        os.environ.get(_JAVA_OPTIONS, ""),
    ]
    archive = archive_file(settings, tools)
    if archive.exists():
        os.utime(archive)  # archives that are long unused are deleted (warm.py)
        java.append(shlex.quote(f"-XX:SharedArchiveFile={archive}"))
    return {
        "spark.master": "local[*]",
        "spark.driver.memory": driver_memory.heap(),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": ":".join(map(str, tools.jars)),
        "spark.driver.extraJavaOptions": " ".join(java),
        "spark.ui.enabled": "false",  # the run page is localcloud's
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "Etc/UTC",
        "spark.sql.warehouse.dir": address(folder / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        # Delta Lake is the default format (docs.databricks.com "What is Delta Lake?").
        "spark.sql.sources.default": "delta",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # Paths without a scheme are on DBFS (docs.databricks.com "What is DBFS?"), which localcloud does not have.
        "spark.hadoop.fs.defaultFS": "dbfs:///",
        "spark.local.dir": str(folder / "local"),
        "spark.hadoop.fs.abfss.impl.disable.cache": "true",
        **{f"spark.hadoop.{key}": value for key, value in _STORAGE.items()},
    }


def collector(options: str) -> list[str]:
    """Return the option of the garbage collector, unless a user's options have one: a JVM starts with one alone.

    Cores that are busy with rows have no time for a collector that works beside them, as the JVM's own choice does
    (docs.oracle.com "HotSpot Virtual Machine Garbage Collection Tuning Guide", "Available Collectors").
    """
    return [] if _COLLECTOR.search(options) else ["-XX:+UseParallelGC"]


def _scratch(folder: Path) -> Path:
    """Return the temporary folder of the driver that `folder` belongs to: deleted with it."""
    return folder / "tmp"


def archive_file(settings: Settings, tools: SparkTools) -> Path:
    """Return the archive of Spark's classes for this JVM (class data sharing): a third off the start of each driver.

    The name depends on all parts of the archive, so that another JVM or Spark gets another one.
    """
    release = tools.java_home / "release"
    parts = [
        release.read_text() if release.exists() else str(tools.java_home),
        version("pyspark"),
        str(tools.python),  # Spark's own jars are in its environment
        *map(str, tools.jars),
    ]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return settings.cache / "spark" / f"classes-{digest}.jsa"


_STORAGE = {
    # The JVM's own client reads the proxy and the roots of certificates from the JVM's properties.
    "fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
    # The driver's own default, 30, is minutes of silence when a storage account does not exist.
    "fs.azure.io.retry.max.retries": "5",
}


def environment(settings: Settings, tools: SparkTools, folder: Path) -> dict[str, str]:
    """Return a driver's variables: of the gateway's own only harmless ones: a notebook gets no secret of it."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    bundle = str(settings.tls / "bundle.pem")
    return kept | {
        "HOME": str(_scratch(folder)),  # the machine's user is signed in to Azure from there; a cluster is not
        "TMPDIR": str(_scratch(folder)),
        "SPARK_LAUNCHER_OPTS": "-XX:-UsePerfData",  # the JVM that only builds the driver's command line
        "JAVA_HOME": str(tools.java_home),
        "PYSPARK_PYTHON": str(tools.python),
        "PYSPARK_DRIVER_PYTHON": str(tools.python),
        "PYARROW_IGNORE_TIMEZONE": "1",  # pyspark.pandas wants it set before Spark starts
        "MLFLOW_TRACKING_URI": "databricks",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TZ": "UTC",
        "DATABRICKS_RUNTIME_VERSION": NOTEBOOK_RUNTIME,
        "HTTPS_PROXY": f"http://127.0.0.1:{settings.proxy_port}",
        "NO_PROXY": "localhost,127.0.0.1",
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
    }


def find_tools(settings: Settings) -> SparkTools:
    """Return Java and the ABFS jars that the engine installed. Raises ConfigurationError when they are missing."""
    tools = toolchain.find(settings)
    if tools is not None:
        return _with_provider(settings, tools.java_home, tools.abfs_jars, tools.delta_jars, tools.notebook_python)
    # Another tool may be missing or changed, which is none of Spark's business.
    java = probes.find_java()
    java_home = java.path if java is not None else java_runtime.installed_java(settings.cache)
    jars, delta_jars = abfs.installed_jars(settings.cache), delta.installed_jars(settings.cache)
    interpreter = python_runtime.find(settings.cache)
    python = None if interpreter is None else notebook_runtime.installed_python(settings.cache, interpreter)
    needed = {
        "Java 17 or 21": java_home, "The ABFS driver": jars, "Delta Lake": delta_jars,
        "The environment with the Databricks Runtime's packages": python,
    }  # fmt: skip
    if java_home is None or jars is None or delta_jars is None or python is None:
        missing = ", ".join(name for name, tool in needed.items() if tool is None)
        raise ConfigurationError(f"Missing in {settings.cache}: {missing}. Run `python -m localcloud.engine`.")
    return _with_provider(settings, java_home, jars, delta_jars, python)


def _with_provider(
    settings: Settings, java_home: Path, jars: Sequence[Path], delta_jars: Sequence[Path], python: Path
) -> SparkTools:
    provider = vended_sas.ensure_jar(settings.cache, java_home, jars)
    python_environments.mark_used(python.parents[1])
    return SparkTools(java_home, (*jars, provider, *delta_jars), python)


def command(tools: SparkTools, program: str, *arguments: str) -> list[str]:
    """Return the command line of a program of the runtime, "driver" or "warm_up".

    It sees the environment's packages, and nothing of this checkout.
    """
    return [str(tools.python), "-I", "-u", str(_START), program, *arguments]


def write(file: Path, conf: dict[str, str], *, warm_up: bool) -> None:
    """Return the driver's launch file, in a folder of its own."""
    _scratch(file.parent).mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"conf": conf, "warm_up": warm_up}))
