"""How a driver is started: its JVM, class path, cluster defaults, environment; and the storage options of a run."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from localcloud.core.errors import ConfigurationError
from localcloud.core.settings import TENANT_ID, Settings
from localcloud.engine import abfs, java_runtime, probes, toolchain

ROOT = Path(__file__).resolve().parents[2]
DRIVER_MEMORY = os.environ.get("LOCALCLOUD_DRIVER_MEMORY", "1g")
"""The driver JVM's heap, as -Xmx takes it."""
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "USER")


@dataclass(frozen=True)
class SparkTools:
    """What the machine gives: a Java home (17 or 21) and the jars of the ABFS driver."""

    java_home: Path
    jars: tuple[Path, ...]


def launch_conf(settings: Settings, tools: SparkTools, folder: Path) -> dict[str, str]:
    """The cluster's own defaults, before any spark_conf. Keys and values of Spark."""
    java = [
        *map(shlex.quote, java_runtime.jvm_options(_scratch(folder))),
        f"-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={settings.proxy_port}",
        "-Dhttp.nonProxyHosts=localhost|127.*",
        shlex.quote(f"-Djavax.net.ssl.trustStore={settings.tls / 'truststore.p12'}"),
        "-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit",
        "-Duser.timezone=UTC",
    ]
    archive = archive_file(settings, tools)
    if archive.exists():
        java.append(shlex.quote(f"-XX:SharedArchiveFile={archive}"))
    return {
        "spark.master": "local[*]",
        "spark.driver.memory": DRIVER_MEMORY,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": ":".join(map(str, tools.jars)),
        "spark.driver.extraJavaOptions": " ".join(java),
        "spark.ui.enabled": "false",  # the run page is localcloud's
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "Etc/UTC",
        "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.local.dir": str(folder / "local"),
        "spark.hadoop.fs.abfss.impl.disable.cache": "true",
        **{f"spark.hadoop.{key}": value for key, value in _STORAGE.items()},
    }


def _scratch(folder: Path) -> Path:
    """The temporary folder of the driver that `folder` belongs to: deleted with it."""
    return folder / "tmp"


def archive_file(settings: Settings, tools: SparkTools) -> Path:
    """Spark's classes as this JVM maps them (class data sharing): a third off the start of each driver.

    The name follows all that the archive depends on, so that another JVM or Spark gets another one.
    """
    release = tools.java_home / "release"
    parts = [
        release.read_text() if release.exists() else str(tools.java_home),
        version("pyspark"),
        *map(str, tools.jars),
    ]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return settings.cache / "spark" / f"classes-{digest}.jsa"


_STORAGE = {
    # The JVM's own client takes the proxy and the roots of certificates from the JVM's properties.
    "fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
    # The driver's own default, 30, is minutes of silence when a storage account does not exist.
    "fs.azure.io.retry.max.retries": "5",
}


def storage_conf(settings: Settings, application_id: str, secret: str) -> dict[str, str]:
    """ABFS as the run's identity, by the managed identity endpoint that `secret` (of grant_workload) opens."""
    endpoint = f"http://127.0.0.1:{settings.identity_port}/msi/{secret}/token"
    return {
        "spark.hadoop.fs.azure.account.auth.type": "OAuth",
        "spark.hadoop.fs.azure.account.oauth.provider.type": "org.apache.hadoop.fs.azurebfs.oauth2.MsiTokenProvider",
        "spark.hadoop.fs.azure.account.oauth2.msi.endpoint": endpoint,
        "spark.hadoop.fs.azure.account.oauth2.msi.tenant": TENANT_ID,
        "spark.hadoop.fs.azure.account.oauth2.client.id": application_id,
    }


def environment(settings: Settings, tools: SparkTools, folder: Path) -> dict[str, str]:
    """Of the gateway's own variables only harmless ones: a notebook is not given what the gateway was."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    bundle = str(settings.tls / "bundle.pem")
    return kept | {
        "TMPDIR": str(_scratch(folder)),
        "SPARK_LAUNCHER_OPTS": "-XX:-UsePerfData",  # the JVM that only builds the driver's command line
        "JAVA_HOME": str(tools.java_home),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TZ": "UTC",
        "DATABRICKS_RUNTIME_VERSION": "17.3",
        "HTTPS_PROXY": f"http://127.0.0.1:{settings.proxy_port}",
        "NO_PROXY": "localhost,127.0.0.1",
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
    }


def find_tools(settings: Settings) -> SparkTools:
    """Java and the ABFS jars that the engine installed. Raises ConfigurationError when they are missing."""
    found = toolchain.find(settings)
    if found is not None:
        return SparkTools(found.java_home, tuple(found.abfs_jars))
    # Another tool may be missing or changed, which is none of Spark's business.
    java = probes.find_java()
    java_home = java.path if java is not None else java_runtime.installed_java(settings.cache)
    jars = abfs.installed_jars(settings.cache)
    if java_home is None or jars is None:
        what = "Java 17 or 21" if java_home is None else "the ABFS driver"
        raise ConfigurationError(f"{what} is not installed in {settings.cache}: run `make tools`.")
    return SparkTools(java_home, tuple(jars))


def write(file: Path, conf: dict[str, str], *, warm_up: bool) -> None:
    """The driver's launch file, in a folder of its own."""
    _scratch(file.parent).mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"conf": conf, "warm_up": warm_up}))
