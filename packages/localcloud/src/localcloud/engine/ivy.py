"""Files from Maven repositories, fetched by the Ivy that ships inside pyspark and checked against pinned hashes."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import ssl
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from localcloud.core.errors import LocalcloudError
from localcloud.engine.install import run
from localcloud.engine.java_runtime import jvm_options

_MODULE = """<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">
  <info organisation="localcloud" module="fetched"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>{dependencies}</dependencies>
</ivy-module>
"""


def fetch(title: str, dependencies: str, sha256: Mapping[str, str], folder: Path, java_home: Path) -> None:
    """Put the files that `sha256` names into `folder`.

    `dependencies` are Ivy's <dependency> elements. The files are named ARTIFACT-REVISION[-CLASSIFIER].EXTENSION.
    Raises LocalcloudError when a file cannot be fetched or has another hash.
    """
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        module = scratch / "ivy.xml"
        module.write_text(_MODULE.format(dependencies=dependencies))
        options = [*jvm_options(scratch), *_network_properties(scratch)]
        java: list[str | Path] = [java_home / "bin" / "java", *options, "-jar", _ivy_jar()]
        arguments: list[str | Path] = ["-ivy", module, "-cache", scratch / "cache", "-types", "jar"]
        pattern = f"{folder}/[artifact]-[revision](-[classifier]).[ext]"
        run(title, [*java, *arguments, "-retrieve", pattern])
    for name, expected in sha256.items():
        file = folder / name
        actual = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"
        if actual != expected:
            raise LocalcloudError(
                f"{title} could not be installed: {name} has SHA-256 {actual}, not {expected}. "
                "The repository or proxy that Maven artifacts come from serves another file."
            )


def spark_jars(pattern: str = "*.jar") -> list[Path]:
    """Return the jars inside pyspark, by name. Raises LocalcloudError when pyspark is not installed."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise LocalcloudError("pyspark is not installed in this environment: reinstall localcloud.")
    return sorted((Path(spec.origin).parent / "jars").glob(pattern))


def _ivy_jar() -> Path:
    jars = spark_jars("ivy-*.jar")
    if not jars:
        raise LocalcloudError("The pyspark of this environment holds no Ivy: reinstall it.")
    return jars[-1]


def _network_properties(scratch: Path) -> list[str]:
    """Return Java's options for the proxy and the trusted roots that this machine's other programs use."""
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
        # Some roots in use break a rule of RFC 5280 (a negative serial number): an unreadable one is left out.
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")
            entries.append(PKCS12Certificate(x509.load_pem_x509_certificate(block), str(len(entries)).encode()))
    store.write_bytes(serialize_java_truststore(entries, BestAvailableEncryption(_STORE_PASSWORD.encode())))
