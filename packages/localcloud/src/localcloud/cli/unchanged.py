"""`unchanged`: whether all inputs of a command are the same as when the command last succeeded.

Two calls go around the command: `check` before it, which forgets the last success unless nothing has changed, and
`record` after it has succeeded. They compare:

- the contents of files and the values of variables that the caller names;
- localcloud's own code, the installed packages and the tools in PULUMI_HOME;
- blobs that the caller names, by their ETags;
- every resource that existed after the last success: others may have changed or deleted it since. A later resource is
  not an input.

Unreadable inputs count as changed, regardless of the reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sqlite3
import ssl
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from fnmatch import fnmatchcase
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from localcloud.core.errors import LocalcloudError
from localcloud.core.private_files import write_private
from localcloud.core.settings import TENANT_ID, Settings
from localcloud.engine.places import pulumi_home_of
from localcloud.gateway import deployer, instance

_PACKAGE = Path(__file__).resolve().parents[1]
_SECONDS = 10
_STORAGE_VERSION = "2021-08-06"
_ARM = "SELECT id_key, type_key, body, private FROM arm_resources"
# Kinds that come and go with runs are no resources.
_DATABRICKS = """
SELECT workspace || ' ' || kind || ' ' || key, 'databricks/' || kind, body, '' FROM databricks_documents
WHERE kind NOT IN ('run', 'task-run', 'cluster', 'job', 'token', 'tracking')
"""
_WRITTEN = ("systemData",)
"""Fields with time and author of a resource's last write, also with the same content."""


class Unreadable(Exception):
    """An input of the command cannot be read now, so that a change is unknown."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Inputs of a command. `paths` are glob patterns, folders with all content; `variables` are patterns of names.

    `programs` are searched on PATH; `blobs` are account/container/name. `passing` are changed by other programs: "TYPE
    FIELD.FIELD", a field of resources, or "TYPE", whole resources.
    """

    paths: Sequence[str] = ()
    variables: Sequence[str] = ()
    programs: Sequence[str] = ()
    blobs: Sequence[str] = ()
    passing: Sequence[str] = ()


def check(settings: Settings, key: Path, subject: Subject, *, force: bool = False) -> bool:
    """Return whether nothing has changed since `record`.

    Else forget it, and note the inputs that the command will read.
    """
    begun = _begun(key)
    begun.unlink(missing_ok=True)
    try:
        read = digest(settings, subject)
        if not force and _is_as_recorded(settings, key, subject, read):
            return True
        write_private(begun, json.dumps(read))
    except (OSError, Unreadable):
        begun.unlink(missing_ok=True)
    key.unlink(missing_ok=True)
    return False


def _is_as_recorded(settings: Settings, key: Path, subject: Subject, read: str) -> bool:
    try:
        recorded = json.loads(key.read_text(encoding="utf-8"))
        return bool(
            recorded["digest"] == read
            and recorded["blobs"] == blob_tags(settings, subject.blobs)
            and recorded["resources"].items() <= resources(settings, subject.passing).items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Unreadable):
        return False


def record(settings: Settings, key: Path, subject: Subject) -> bool:
    """Record the success of the command with the inputs that it read, unless they have changed since `check`."""
    begun = _begun(key)
    try:
        read = json.loads(begun.read_text())
        if read != digest(settings, subject):
            return False
        content = {
            "digest": read,
            "blobs": blob_tags(settings, subject.blobs),
            "resources": resources(settings, subject.passing),
        }
        write_private(key, json.dumps(content))
    except (OSError, ValueError, Unreadable):
        return False
    finally:
        begun.unlink(missing_ok=True)
    return True


def _begun(key: Path) -> Path:
    return key.with_name(f"{key.name}.begun")


def digest(settings: Settings, subject: Subject) -> str:
    """Return a hash of files, variables, code and tools. Raises Unreadable for a pattern that matches nothing."""
    result = hashlib.sha256(json.dumps([list(part) for part in astuple(subject)]).encode())
    for name, value in sorted(os.environ.items()):
        if any(fnmatchcase(name, pattern) for pattern in subject.variables):
            result.update(json.dumps([name, value]).encode())
            if value and name.endswith("_FILE"):
                result.update(_content(Path(value)))
    try:
        for file in _files(subject.paths):
            result.update(f"{file}:{file.stat().st_mode}\n".encode() + _content(file))
        for file in (*_tools(settings), *map(_program, subject.programs)):
            stat = file.stat()
            result.update(f"{file}:{stat.st_mtime_ns}:{stat.st_size}\n".encode())
    except OSError as error:
        raise Unreadable(str(error)) from error
    return result.hexdigest()


def _content(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError as error:
        raise Unreadable(str(error)) from error


def _program(name: str) -> Path:
    file = shutil.which(name)
    if file is None:
        raise Unreadable(f"{name} is not on PATH")
    return Path(file).resolve()


def _files(patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        matches = sorted(Path().glob(pattern))
        if not matches:
            raise Unreadable(f"nothing matches {pattern}")
        for match in matches:
            if match.is_dir():
                # The target of a link is not checked: Path.rglob follows none.
                yield from sorted(file for file in match.rglob("*") if file.is_file() and file.suffix != ".pyc")
            else:
                yield match


def _tools(settings: Settings) -> Iterator[Path]:
    """Return the files of localcloud itself, of Python and its packages, and of the engine and its plugins."""
    yield Path(sysconfig.get_path("purelib"))  # its time is the last installation's
    yield Path(sys.executable).resolve()
    yield from sorted(file for file in _PACKAGE.rglob("*") if file.suffix in {".py", ".js", ".json"})
    home = pulumi_home_of(settings)
    for folder in (home / "plugins", home / "bin"):
        for file in sorted(folder.rglob("pulumi*")):
            if file.is_file():
                yield file
                yield from _started_by(file)


def _started_by(launcher: Path) -> Iterator[Path]:
    """Return the program that a launcher of localcloud.engine.pulumi_home starts: a vendor's may be replaced."""
    if launcher.stat().st_size < 4096:
        for line in launcher.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("exec "):
                yield Path(shlex.split(line)[1])


def resources(settings: Settings, passing: Sequence[str]) -> Mapping[str, str]:
    """Return a hash of each resource of ARM and of the Databricks workspaces, by its id. Raises Unreadable."""
    if not settings.database.is_file():
        raise Unreadable(f"{settings.database} does not exist")
    fields: dict[str, list[list[str]]] = {}
    for line in passing:
        kind, _, field = line.partition(" ")
        fields.setdefault(kind.lower(), []).append(field.split("."))
    try:
        with closing(sqlite3.connect(f"file:{quote(str(settings.database))}?mode=ro", uri=True)) as database:
            rows = [*database.execute(_ARM), *database.execute(_DATABRICKS)]
    except sqlite3.Error as error:
        raise Unreadable(str(error)) from error
    return {
        id_: _hash(body, private, fields.get(kind, ()))
        for id_, kind, body, private in rows
        if [""] not in fields.get(kind, ())
    }


def _hash(body: str, private: str, passing: Iterable[Sequence[str]]) -> str:
    document = json.loads(body)
    for path in (_WRITTEN, *passing):
        _drop(document, path)
    return hashlib.sha256(f"{json.dumps(document)}\n{private}".encode()).hexdigest()[:32]


def _drop(document: Any, path: Sequence[str]) -> None:
    for name in path[:-1]:
        document = document.get(name) if isinstance(document, dict) else None
    if isinstance(document, dict):
        document.pop(path[-1], None)


def blob_tags(settings: Settings, blobs: Sequence[str]) -> list[str]:
    """Return the blobs' ETags as the storage endpoint shows them to the deployer. Raises Unreadable."""
    if not blobs:
        return []
    if instance.running(settings) is None:
        raise Unreadable("localcloud does not run")
    context = ssl.create_default_context(cafile=str(settings.tls / "ca.pem"))
    try:
        known = deployer.read(settings)
        form = urlencode(
            {
                "grant_type": "client_credentials", "client_id": known.client_id,
                "client_secret": known.client_secret, "scope": "https://storage.azure.com/.default",
            }
        )  # fmt: skip
        with closing(_Connection(settings, context)) as connection:
            token = connection.token(form)
            return [connection.tag(token, blob) for blob in blobs]
    except (OSError, HTTPException, ValueError, KeyError, LocalcloudError) as error:
        raise Unreadable(str(error)) from error


class _Connection:
    """One connection to the gateway, which distinguishes Azure's hosts by the Host header."""

    def __init__(self, settings: Settings, context: ssl.SSLContext) -> None:
        self._connection = HTTPSConnection("localhost", settings.gateway_port, timeout=_SECONDS, context=context)

    def close(self) -> None:
        self._connection.close()

    def token(self, form: str) -> str:
        headers = {"Host": "login.microsoftonline.com", "Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", f"/{TENANT_ID}/oauth2/v2.0/token", form, headers)
        return str(json.loads(self._connection.getresponse().read())["access_token"])

    def tag(self, token: str, blob: str) -> str:
        account, _, path = blob.partition("/")
        headers = {
            "Host": f"{account}.blob.core.windows.net",
            "Authorization": f"Bearer {token}",
            "x-ms-version": _STORAGE_VERSION,
        }
        self._connection.request("HEAD", f"/{quote(path)}", headers=headers)
        response = self._connection.getresponse()
        response.read()
        if response.status != 200 or not response.headers["ETag"]:
            raise Unreadable(f"HEAD {blob} answers {response.status}")
        return str(response.headers["ETag"])
