"""The ABFS driver (hadoop-azure) for Spark, resolved by the Ivy that ships inside pyspark.

Spark 4.0's own Hadoop is 3.4.1 without hadoop-azure; the driver of 3.4.2 runs on it, and is the first that speaks to
either endpoint of an account. One jar is all it takes: everything else that hadoop-azure names is in Spark already, or
serves the retired WASB driver only (found by running with fewer and fewer jars, over HTTP and HTTPS).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import ssl
import tempfile
import warnings
from pathlib import Path
from urllib.parse import urlsplit

from localcloud.core.errors import LocalcloudError
from localcloud.engine.install import install, run
from localcloud.engine.java_runtime import jvm_options
from localcloud.engine.progress import Progress
from localcloud.engine.versions import HADOOP_AZURE

_SHA256 = {
    f"hadoop-azure-{HADOOP_AZURE}.jar": "f02ab756037abaecc45ea1869144ad3a69e25ccd84062bc37805837ca254e21c",
}
_KEY = f"abfs-{HADOOP_AZURE}"
_TITLE = f"ABFS driver {HADOOP_AZURE}"
_IVY_MODULE = f"""<ivy-module version="2.0">
  <info organisation="localcloud" module="abfs"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
    <dependency org="org.apache.hadoop" name="hadoop-azure" rev="{HADOOP_AZURE}" transitive="false"
                conf="default->master"/>
  </dependencies>
</ivy-module>
"""


def installed_jars(cache: Path) -> list[Path] | None:
    """The jars if the cache has them all."""
    jars = [cache / _KEY / name for name in _SHA256]
    return jars if all(jar.is_file() for jar in jars) else None


def ensure_jars(cache: Path, java_home: Path, progress: Progress) -> list[Path]:
    """The jars, fetched and checked against their hashes first if need be.

    Raises LocalcloudError when they cannot be fetched or are not what the list says.
    """
    if found := installed_jars(cache):
        return found

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            fetch(folder, Path(scratch))
        for name, expected in _SHA256.items():
            jar = folder / name
            actual = hashlib.sha256(jar.read_bytes()).hexdigest() if jar.is_file() else "missing"
            if actual != expected:
                raise LocalcloudError(
                    f"{_TITLE} could not be installed: {name} has SHA-256 {actual}, not {expected}. "
                    "The repository or proxy that Maven artifacts come from serves another file."
                )

    def fetch(folder: Path, scratch: Path) -> None:
        module = scratch / "ivy.xml"
        module.write_text(_IVY_MODULE)
        options = [*jvm_options(scratch), *_network_properties(scratch)]
        java: list[str | Path] = [java_home / "bin" / "java", *options, "-jar", _ivy_jar()]
        arguments: list[str | Path] = ["-ivy", module, "-cache", scratch / "cache", "-types", "jar"]
        run(_TITLE, [*java, *arguments, "-retrieve", f"{folder}/[artifact]-[revision].[ext]"])

    with progress.task(f"Installing {_TITLE}"):
        install(cache, _KEY, make)
    return [cache / _KEY / name for name in _SHA256]


def _ivy_jar() -> Path:
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise LocalcloudError("pyspark is not installed in this environment: run `make tools`.")
    jars = sorted((Path(spec.origin).parent / "jars").glob("ivy-*.jar"))
    if not jars:
        raise LocalcloudError(f"pyspark at {spec.origin} holds no Ivy: reinstall it with `make tools`.")
    return jars[-1]


def _network_properties(scratch: Path) -> list[str]:
    """What Java needs to reach a repository as this machine's other programs do: their proxy and their roots."""
    properties: list[str] = []
    for scheme in ("http", "https"):
        proxy = os.environ.get(f"{scheme}_proxy") or os.environ.get(f"{scheme.upper()}_PROXY")
        if proxy and (address := urlsplit(proxy)).hostname:
            properties += [f"-D{scheme}.proxyHost={address.hostname}", f"-D{scheme}.proxyPort={address.port or 80}"]
    roots = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if roots and Path(roots).is_file():
        store = scratch / "roots.p12"
        _write_truststore(Path(roots), store)
        properties += [
            f"-Djavax.net.ssl.trustStore={store}",
            "-Djavax.net.ssl.trustStoreType=PKCS12",
            f"-Djavax.net.ssl.trustStorePassword={_STORE_PASSWORD}",
        ]
    return properties


_STORE_PASSWORD = "changeit"  # noqa: S105 - Java's customary one: a truststore holds public certificates only


def _write_truststore(roots: Path, store: Path) -> None:
    """Java does not read PEM roots, and a company's own root is in the machine's PEM file only."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    entries: list[PKCS12Certificate] = []
    for block in re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", roots.read_bytes(), re.DOTALL):
        # Some roots in use break a rule of RFC 5280 (a negative serial number): one that cannot be read is left out.
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")
            entries.append(PKCS12Certificate(x509.load_pem_x509_certificate(block), str(len(entries)).encode()))
    store.write_bytes(serialize_java_truststore(entries, BestAvailableEncryption(_STORE_PASSWORD.encode())))
