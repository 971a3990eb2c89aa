"""`make state-restore`: a damaged state is replaced by an earlier copy, with the real engine and its blob container."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import ContainerClient
from localcloud.testing.azure_session import AzureSession, unique

from infra.stack_file import ROOT

_PROGRAM = """
import pulumi
for number in range(int(pulumi.Config().require("count"))):
    pulumi.ComponentResource("test:index:Nothing", f"nothing-{number}")
"""


@dataclass(frozen=True)
class Project:
    """A project with a stack `dev` that has been updated to one, two and three components."""

    name: str
    folder: Path
    container: ContainerClient

    def pulumi(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("pulumi", *words, "--non-interactive")

    def restore(self, *words: str, stack: str = "dev") -> subprocess.CompletedProcess[str]:
        """Run the target as a user does."""
        python = f"PYTHON_BIN={sys.executable}"
        makefile = ("make", "-I", str(ROOT), "-f", str(ROOT / "Makefile"), "-o", ".venv/installed")
        return self.run(*makefile, "state-restore", f"STACK={stack}", python, *words)

    def up(self, count: int) -> None:
        for words in (("config", "set", "count", str(count)), ("up", "--yes", "--skip-preview")):
            completed = self.pulumi(*words, "--stack", "dev")
            assert completed.returncode == 0, completed.stdout + completed.stderr

    def components(self) -> int:
        exported = self.pulumi("stack", "export", "--stack", "dev")
        assert exported.returncode == 0, exported.stderr
        resources = json.loads(exported.stdout)["deployment"]["resources"]
        return sum(resource["type"] == "test:index:Nothing" for resource in resources)

    @property
    def state(self) -> str:
        return f".pulumi/stacks/{self.name}/dev.json"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), "PULUMI_CONFIG_PASSPHRASE": "restore"}
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        return subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )


@pytest.fixture(scope="module")
def updated(azure: AzureSession, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder, name = tmp_path_factory.mktemp("restore"), unique("restore-")
    options = f"{{toolchain: pip, virtualenv: {sys.prefix}}}"
    (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime:\n  name: python\n  options: {options}\n")
    (folder / "__main__.py").write_text(_PROGRAM)
    backend = urlsplit(os.environ["PULUMI_BACKEND_URL"])
    url = f"https://{parse_qs(backend.query)['storage_account'][0]}.blob.core.windows.net"
    project = Project(name, folder, ContainerClient(url, backend.netloc, azure.credential))
    init = project.pulumi("stack", "init", "dev")
    assert init.returncode == 0, init.stderr
    for count in (1, 2, 3):
        project.up(count)
    return project


@pytest.fixture
def project(updated: Project) -> Iterator[Project]:
    """Yield the project with its whole state, which is put back afterwards."""
    whole = updated.container.download_blob(updated.state).readall()
    yield updated
    updated.container.upload_blob(updated.state, whole, overwrite=True)


def replaced(project: Project) -> list[bytes]:
    blobs = project.container.list_blobs(name_starts_with=f".pulumi/replaced/{project.name}/")
    return [project.container.download_blob(blob.name).readall() for blob in blobs]


@pytest.mark.fault_kind("damage of a state")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda whole: b"", "it is empty", id="empty", marks=pytest.mark.nightly),
        pytest.param(lambda whole: whole[: len(whole) // 2], "it is not JSON", id="half"),
        pytest.param(lambda whole: b"[]", "it has no checkpoint", id="another document", marks=pytest.mark.nightly),
        pytest.param(
            lambda whole: whole.replace(b"/dev", b"/prod"), "it is a state of", id="another stack",
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            lambda whole: gzip.compress(whole)[:-20], "it is not JSON", id="half compressed", marks=pytest.mark.nightly
        ),
    ],
)  # fmt: skip
def test_a_damaged_state_is_replaced_by_the_newest_copy_and_kept(
    project: Project, damage: Callable[[bytes], bytes], reason: str
) -> None:
    broken = damage(project.container.download_blob(project.state).readall())
    project.container.upload_blob(project.state, broken, overwrite=True)

    restoration = project.restore()
    assert restoration.returncode == 0, restoration.stderr
    assert f"damaged: {reason}" in restoration.stdout
    would = project.restore("FROM=latest", "DRY_RUN=1")
    assert would.returncode == 0 and "Would restore" in would.stdout, would.stdout + would.stderr
    assert project.container.download_blob(project.state).readall() == broken, "a dry run changes nothing"
    completed = project.restore("FROM=latest")

    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "with 4 resources" in completed.stdout and "make drift STACK=dev" in completed.stdout
    assert project.components() == 3
    assert broken in replaced(project)


@pytest.mark.nightly
@pytest.mark.fault_kind("damage of a state")
def test_a_deleted_state_is_restored(project: Project) -> None:
    project.container.delete_blob(project.state)

    completed = project.restore("FROM=latest")

    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert project.components() == 3


def test_a_readable_state_is_replaced_only_by_a_copy_that_is_named(project: Project) -> None:
    refused = project.restore("FROM=latest")
    assert refused.returncode != 0
    assert "The state is readable and has 4 resources" in refused.stderr
    backups = project.container.list_blobs(name_starts_with=f".pulumi/backups/{project.name}/dev/")
    older = sorted(blob.name for blob in backups)[1]
    stamp = older.rsplit("/", 1)[-1].split(".")[1]

    completed = project.restore(f"FROM=backups-{stamp}")

    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert project.components() in {1, 2}


def test_a_locked_stack_is_left_alone(project: Project) -> None:
    lock = f".pulumi/locks/organization/{project.name}/dev/0.json"
    project.container.upload_blob(project.state, b"", overwrite=True)
    project.container.upload_blob(lock, b'{"pid": 1, "hostname": "elsewhere"}')
    try:
        refused = project.restore("FROM=latest")
    finally:
        project.container.delete_blob(lock)

    assert refused.returncode != 0
    assert "Stack dev is locked by 1 update(s)" in refused.stderr and lock in refused.stderr
    assert project.container.download_blob(project.state).readall() == b""


@pytest.mark.parametrize(
    ("words", "stack", "reason"),
    [
        (("FROM=backups-1",), "dev", "There is no copy 'backups-1'. The ids are: "),
        ((), "none", "There is no stack 'none' in this backend"),
        (("FROM=$(touch x)",), "dev", "There is no copy '$(touch x)'"),
    ],
)
def test_a_missing_copy_or_stack_is_named(project: Project, words: tuple[str, ...], stack: str, reason: str) -> None:
    refused = project.restore(*words, stack=stack)

    assert refused.returncode != 0
    assert reason in refused.stderr, refused.stderr
    assert not (project.folder / "x").exists()


@pytest.mark.fault_kind("damage of a state")
def test_an_update_on_a_damaged_state_names_the_verb(project: Project) -> None:
    project.container.upload_blob(project.state, b"", overwrite=True)

    refused = project.run(sys.executable, "-m", "pipelines.up", "--", "pulumi", "up", "--stack", "dev", "--yes")

    assert refused.returncode != 0
    assert "The state of stack dev is damaged: it is empty. `make state-restore STACK=dev`" in refused.stderr
