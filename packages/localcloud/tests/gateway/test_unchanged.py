"""`localcloud unchanged`: changes that it notices between a command's success and its next run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from localcloud.arm.store import ResourceStore
from localcloud.cli import unchanged
from localcloud.cli.unchanged import Subject
from localcloud.core.database import Database
from localcloud.core.resource import Resource
from localcloud.core.settings import Settings
from localcloud.databricks import store
from localcloud.databricks.store import Documents
from localcloud.testing.cloud import Cloud

ACCOUNT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/st"
ENDPOINT = (
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ml/batchEndpoints/bep"
)
PASSING = "microsoft.machinelearningservices/workspaces/batchendpoints properties.defaults"


def resource(id_: str, **properties: object) -> Resource:
    written = {"lastModifiedAt": properties.pop("written", "2026-01-01T00:00:00Z")}
    return Resource(id=id_, type="", name=id_.rsplit("/", 1)[1], properties=dict(properties), system_data=written)


@dataclass(frozen=True)
class Place:
    """A command's files, and the resources behind it."""

    settings: Settings
    folder: Path
    subject: Subject
    resources: ResourceStore
    documents: Documents

    @property
    def key(self) -> Path:
        return self.settings.home / "key.json"

    def check(self, **changes: object) -> bool:
        return unchanged.check(self.settings, self.key, replace(self.subject, **changes))  # type: ignore[arg-type]

    def record(self) -> bool:
        return unchanged.record(self.settings, self.key, self.subject)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a place where the command has just succeeded."""
    folder, home = tmp_path / "checkout", tmp_path / "home"
    (folder / "infra").mkdir(parents=True)
    (folder / "infra" / "network.py").write_text("first")
    (folder / "passphrase").write_text("first")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DATA", "my.csv")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", "passphrase")
    database = Database(home / "localcloud.db")
    store.create_schema(database)
    settings = Settings(home=home, cache=tmp_path / "cache")
    launcher = home / "pulumi" / "plugins" / "resource-x" / "pulumi-resource-x"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("#!/bin/sh\nexec /bin/sh -c true\n")
    subject = Subject(
        paths=("infra", "*.yaml"), variables=("DATA", "POLICY", "PULUMI_*"), programs=("sh",), passing=(PASSING,)
    )
    (folder / "Pulumi.yaml").write_text("name: x")
    place = Place(settings, folder, subject, ResourceStore(database), Documents(database, "adb-1"))
    place.resources.put(resource(ACCOUNT, minimumTlsVersion="TLS1_2"))
    place.resources.put(resource(ENDPOINT, defaults={"deploymentName": "v-1"}))
    place.documents.put("pool", "1", {"min_idle_instances": 0})
    assert not place.check(), "nothing was recorded yet"
    assert place.record()
    assert place.check(), "the change that follows is the reason"
    return place


def _write(name: str, text: str) -> Callable[[Place, pytest.MonkeyPatch], object]:
    return lambda place, _: (place.folder / name).write_text(text)


def _set(name: str, value: str) -> Callable[[Place, pytest.MonkeyPatch], object]:
    return lambda _, monkeypatch: monkeypatch.setenv(name, value)


CHANGES: dict[str, Callable[[Place, pytest.MonkeyPatch], object]] = {
    "edited file": _write("infra/network.py", "second"),
    "new file in a folder": _write("infra/new.py", ""),
    "new file of a pattern": _write("Pulumi.dev.yaml", ""),
    "deleted file": lambda place, _: (place.folder / "infra" / "network.py").unlink(),
    "unreadable file": lambda place, _: (place.folder / "passphrase").unlink(),
    "other value": _set("DATA", "other.csv"),
    "new variable": _set("POLICY", "--policy-pack none"),
    "new variable of a pattern": _set("PULUMI_CONFIG_PASSPHRASE", "x"),
    "other passphrase in the file": _write("passphrase", "second"),
    "other plugin": lambda place, _: (
        place.settings.home / "pulumi" / "plugins" / "resource-x" / "pulumi-resource-x"
    ).write_text("#!/bin/sh\nexec /bin/cat\n"),
    "program that is gone": _set("PATH", "/nowhere"),
    "changed resource": lambda place, _: place.resources.put(resource(ACCOUNT, minimumTlsVersion="TLS1_0")),
    "deleted resource": lambda place, _: place.resources.delete(ACCOUNT),
    "changed document": lambda place, _: place.documents.put("pool", "1", {"min_idle_instances": 1}),
    "deleted document": lambda place, _: place.documents.delete("pool", "1"),
    "deleted resource with passing fields": lambda place, _: place.resources.delete(ENDPOINT),
    "no database": lambda place, _: place.settings.database.unlink(),
    "no key": lambda place, _: place.key.unlink(),
    "damaged key": lambda place, _: place.key.write_text(place.key.read_text()[:-1]),
    "key of another form": lambda place, _: place.key.write_text("[]"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch, change: Callable[[Place, pytest.MonkeyPatch], object]
) -> None:
    change(place, monkeypatch)

    assert not place.check()
    assert not place.key.exists(), "whatever becomes of the command now, the last success says nothing about it"


UNIMPORTANT: dict[str, Callable[[Place], object]] = {
    "new resource": lambda place: place.resources.put(resource(f"{ACCOUNT}2")),
    "a resource written with the same content": lambda place: place.resources.put(
        resource(ACCOUNT, minimumTlsVersion="TLS1_2", written="2026-01-02T00:00:00Z")
    ),
    "passing field": lambda place: place.resources.put(resource(ENDPOINT, defaults={"deploymentName": "v-2"})),
    "run": lambda place: place.documents.put("run", "1", {}),
    "compiled file": lambda place: (place.folder / "infra" / "network.pyc").write_text(""),
}


@pytest.mark.parametrize("change", UNIMPORTANT.values(), ids=UNIMPORTANT)
def test_files_that_the_command_does_not_read_are_no_change(place: Place, change: Callable[[Place], object]) -> None:
    change(place)

    assert place.check()


def test_a_command_that_failed_or_was_killed_runs_again(place: Place) -> None:
    (place.folder / "infra" / "network.py").write_text("second")
    assert not place.check()

    (place.folder / "infra" / "network.py").write_text("first")  # no success was recorded

    assert not place.check()


def test_an_edit_under_way_is_not_recorded(place: Place) -> None:
    assert not place.check(variables=("DATA",))
    (place.folder / "infra" / "network.py").write_text("while the command runs")

    assert not place.record()
    assert not place.check()


def test_a_forced_check_forgets_the_last_success(place: Place) -> None:
    assert not unchanged.check(place.settings, place.key, place.subject, force=True)
    assert not place.check()


def test_another_command_has_another_answer(place: Place) -> None:
    assert not place.check(paths=("infra",))


def test_the_key_is_the_user_s_own_and_holds_no_value(place: Place) -> None:
    assert place.key.stat().st_mode & 0o777 == 0o600
    assert "my.csv" not in place.key.read_text()


def test_a_blob_of_the_running_localcloud_is_compared_by_its_tag(cloud: Cloud, tmp_path: Path) -> None:
    """Through the command line, as the Makefile asks; a state that was restored or edited has another tag."""
    settings = cloud.settings
    name = f"{settings.state.account}/{settings.state.container}/{tmp_path.name}"
    key = tmp_path / "key.json"
    words = ("--key-file", str(key), "--blobs", name, "--message", "Nothing to do.")

    def write(text: str) -> None:
        script = (
            "import sys; from azure.identity import EnvironmentCredential; from azure.storage.blob import BlobClient\n"
            "account, container, name = sys.argv[1].split('/', 2)\n"
            "url = f'https://{account}.blob.core.windows.net'\n"
            "blob = BlobClient(url, container, name, credential=EnvironmentCredential())\n"
            "blob.upload_blob(sys.argv[2], overwrite=True)"
        )
        subprocess.run([sys.executable, "-c", script, name, text], env={**os.environ, **cloud.environment}, check=True)

    missing = cloud.command("unchanged", "check", *words)
    assert (missing.returncode, missing.stdout, missing.stderr) == (1, "", "")
    assert cloud.command("unchanged", "record", *words).returncode == 1, "a blob that is not there has no tag"

    write("first")
    assert cloud.command("unchanged", "check", *words).returncode == 1
    assert cloud.command("unchanged", "record", *words).returncode == 0
    same = cloud.command("unchanged", "check", *words)
    assert (same.returncode, same.stdout) == (0, "Nothing to do.\n")

    write("first")
    assert cloud.command("unchanged", "check", *words).returncode == 1

    assert cloud.command("unchanged", "record", *words).returncode == 0
    elsewhere = cloud.command("unchanged", "check", *words, LOCALCLOUD_HOME=str(tmp_path))
    assert (elsewhere.returncode, elsewhere.stderr) == (1, ""), "that localcloud does not run"
