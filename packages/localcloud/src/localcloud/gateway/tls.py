"""Certificates of this localcloud: a local authority whose key is thrown away, and trust files for each kind of client.

ca.pem          the authority
bundle.pem      the machine's roots and ours: OpenSSL, Python, Go, curl, Node
truststore.p12  the same for Java (password changeit: it holds only public certificates)
server.pem      key and chain of the gateway, readable by the user only
"""

from __future__ import annotations

import datetime
import logging
import re
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import certifi
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from localcloud.core.settings import Settings
from localcloud.gateway.hosts import AZURE_NAMES

_log = logging.getLogger("localcloud.tls")
_PASSWORD = b"changeit"
_DAYS = 397
_RENEW_BEFORE_DAYS = 30


def ensure(settings: Settings) -> Path:
    """Make the files if they are missing, for other names, or soon to expire; the path of server.pem."""
    folder = settings.tls
    server = folder / "server.pem"
    if not _usable(folder):
        _make(folder)
    return server


def server_context(server: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer, as Azure's endpoints."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server)
    return context


def _usable(folder: Path) -> bool:
    files = [folder / name for name in ("ca.pem", "bundle.pem", "truststore.p12", "server.pem")]
    if not all(file.exists() for file in files):
        return False
    certificate = x509.load_pem_x509_certificates(files[-1].read_bytes())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    # The machine's own roots may have changed since.
    fresh = _machine_roots().stat().st_mtime <= files[-1].stat().st_mtime
    same = set(names.get_values_for_type(x509.DNSName)) == {name for name in AZURE_NAMES if name != "127.0.0.1"}
    return same and fresh and left > datetime.timedelta(days=_RENEW_BEFORE_DAYS)


def _machine_roots() -> Path:
    """Return this machine's trusted roots, its own additions included; certifi's where it has no such file.

    SSL_CERT_FILE counts, unless it is a localcloud's own bundle, as in a shell of `localcloud env`.
    """
    paths = ssl.get_default_verify_paths()
    for file in (paths.cafile, paths.openssl_cafile):
        if file and Path(file).exists() and not Path(file).with_name("server.pem").exists():
            return Path(file)
    return Path(certifi.where())


def certificates_of(bundle: bytes) -> Iterator[x509.Certificate]:
    """Return a PEM file's readable certificates: machines have roots with flaws that cryptography does not accept."""
    for block in re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", bundle, re.DOTALL):
        try:
            with warnings.catch_warnings(action="ignore"):  # flaws that it only accepts for now
                certificate = x509.load_pem_x509_certificate(block)
        except ValueError as error:
            _log.info("a root certificate of this machine is left out of Java's: %s", error)
        else:
            yield certificate


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority = trustme.CA(organization_name="localcloud")
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=_DAYS)
    issued = authority.issue_cert(*AZURE_NAMES, common_name="localhost", not_after=expires)
    ours = authority.cert_pem.bytes()
    roots = _machine_roots().read_bytes()
    (folder / "ca.pem").write_bytes(ours)
    (folder / "bundle.pem").write_bytes(roots.rstrip() + b"\n" + ours)
    certificates = [
        pkcs12.PKCS12Certificate(certificate, f"root-{index}".encode())
        for index, certificate in enumerate(certificates_of(roots + b"\n" + ours))
    ]
    # Java's own iteration count would take seconds to read; the protected content is public.
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(1000)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    ).build(_PASSWORD)
    (folder / "truststore.p12").write_bytes(pkcs12.serialize_java_truststore(certificates, encryption))
    fresh = folder / "server.new"
    fresh.touch(mode=0o600)
    fresh.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    fresh.replace(folder / "server.pem")  # last: it marks that all of them are there
