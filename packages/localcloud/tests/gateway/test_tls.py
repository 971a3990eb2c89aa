"""Certificates: every name that clients use, in the trust files of each kind of client."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import subprocess
import warnings
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from localcloud.core.settings import Settings
from localcloud.gateway import tls
from localcloud.testing.cloud import Cloud

_HOSTS = (
    "localhost", "management.azure.com", "login.microsoftonline.com", "stlocalcloud.blob.core.windows.net",
    "stlocalcloud.dfs.core.windows.net", "kv-x.vault.azure.net", "adb-7405605021313034.14.azuredatabricks.net",
    "westeurope.api.azureml.ms", "9332539b-ef8b.workspace.westeurope.api.azureml.ms",
    "be-x.westeurope.inference.ml.azure.com", "graph.microsoft.com", "x.azurecr.io",
)  # fmt: skip


@pytest.mark.parametrize("host", _HOSTS)
def test_a_client_that_checks_names_trusts_the_gateway(cloud: Cloud, host: str) -> None:
    context = ssl.create_default_context(cafile=cloud.environment["SSL_CERT_FILE"])
    with (
        socket.create_connection(("127.0.0.1", cloud.settings.gateway_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        assert secure.version() in {"TLSv1.2", "TLSv1.3"}


def test_older_tls_is_refused(cloud: Cloud) -> None:
    context = ssl.create_default_context(cafile=cloud.environment["SSL_CERT_FILE"])
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # naming the old version is deprecated too
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", cloud.settings.gateway_port), timeout=10) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_the_authority_s_key_is_nowhere_and_the_server_s_is_the_user_s_alone(cloud: Cloud) -> None:
    folder = cloud.settings.tls
    with_keys = [file.name for file in folder.iterdir() if b"PRIVATE KEY" in file.read_bytes()]
    assert with_keys == ["server.pem"]
    assert (folder / "server.pem").read_bytes().count(b"PRIVATE KEY") == 2, "one key, of the server"
    assert (folder / "server.pem").stat().st_mode & 0o077 == 0


def test_the_bundle_keeps_the_machine_s_roots(cloud: Cloud) -> None:
    roots = ssl.get_default_verify_paths().cafile or certifi.where()
    bundle = (cloud.settings.tls / "bundle.pem").read_text()
    assert Path(roots).read_text().strip() in bundle
    assert (cloud.settings.tls / "ca.pem").read_text().strip() in bundle


def test_java_reads_its_trust_store(cloud: Cloud) -> None:
    java = Path(cloud.environment["JAVA_HOME"]) / "bin" / "java"
    source = cloud.settings.home / "Count.java"
    source.write_text(
        "class Count { public static void main(String[] a) throws Exception { var s = java.security.KeyStore"
        '.getInstance(new java.io.File(a[0]), "changeit".toCharArray()); System.out.print(s.size()); } }'
    )
    if not (java.parent / "javac").exists():
        pytest.skip("this Java is a runtime without a compiler; tests/localcloud/databricks reads the store through it")
    command = [java, source, cloud.settings.tls / "truststore.p12"]
    keystore = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    bundle = (cloud.settings.tls / "bundle.pem").read_bytes()
    assert int(keystore.stdout) == len(list(tls.certificates_of(bundle)))


def test_certificates_stay_until_they_are_nearly_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, cache=tmp_path)
    server = tls.ensure(settings)
    first = server.read_bytes()
    tls.ensure(settings)
    assert server.read_bytes() == first
    (settings.tls / "truststore.p12").unlink()
    tls.ensure(settings)
    second = server.read_bytes()
    assert second != first, "a missing file makes all of them anew"
    monkeypatch.setattr(tls, "_RENEW_BEFORE_DAYS", 10_000)
    tls.ensure(settings)
    renewed = x509.load_pem_x509_certificates(server.read_bytes())[0]
    assert server.read_bytes() != second
    assert renewed.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=300)
