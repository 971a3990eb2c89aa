"""The program that takes the files of the input folder, against storage: twice at once, killed, and with bad files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.lake import Lake, make_lake

from mlops import specifications
from mlops.components.score.src.ledger import FIRST, Entry, Failure, Ledger, Refusal
from steps.data_contract import DataContract
from steps.specification import Score
from steps.taken_files import TakenFiles
from tests import samples
from tests.unit.mlops import forked_steps

ROOT = Path(__file__).resolve().parents[3]
COMPONENTS = ROOT / "mlops/components"
PROGRAM = COMPONENTS / "take_files/src/take_files.py"


@dataclass
class Taking:
    """The input folder of a model of its own, and the program that takes its files."""

    lake: Lake
    folder: Path
    model: str
    environment: dict[str, str]
    processes: forked_steps.Steps

    @property
    def blobs(self) -> ContainerClient:
        return self.lake.blobs

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lake.data, self.blobs, self.model)

    def leave(self, name: str, text: str) -> str:
        """Leave a file as others do; return its version."""
        self.blobs.upload_blob(f"scoring/in/{self.model}/{name}", text.encode(), overwrite=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def score(self, version: str, attempt: str = FIRST, staged: str = "none") -> Entry:
        """Leave the entry that the score step leaves."""
        entry = Entry(
            file_version=version, file_name="x", attempt=attempt, run="r", model=self.model, model_version="1",
            code_version="v1", scored_at="now", staged=staged, output=f"scoring/out/{self.model}/date=d/run=r",
            quarantine=None, rows_read=1, rows_scored=1, rows_refused=0, reasons={},
        )  # fmt: skip
        return self.ledger._make(entry)

    def refuse(self, version: str, attempt: str = FIRST, code_version: str = "v1") -> None:
        """Leave the refusal that the score step leaves."""
        self.ledger.refuse(
            Refusal(
                file_version=version, file_name="x", attempt=attempt, run="r", model=self.model, model_version="1",
                code_version=code_version, refused_at="now", reason="the header lacks a", quarantine="q",
                rows_read=0, rows_refused=0,
            )
        )  # fmt: skip

    def run(
        self, kill_at: str = "0", attempt: str = FIRST, most_files: int = 100, code_version: str = "v1"
    ) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Run the program; it is killed at a request to storage, such as 3:after."""
        output, variables = self._inputs(attempt, most_files, code_version)
        own = {"KILL_AT": kill_at, "REQUESTS_FILE": str(self.folder / "requests")}
        wrapper = Path(__file__).with_name("killed_step.py")
        return self.processes.run(wrapper, [str(PROGRAM), "--files", str(output)], variables | own), output

    def start(self) -> tuple[subprocess.Popen[str], Path]:
        """Start the program in a process of its own."""
        output, variables = self._inputs(FIRST, 100)
        words = [sys.executable, str(PROGRAM), "--files", str(output)]
        started = subprocess.Popen(
            words, env=self.environment | variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        return started, output

    def _inputs(self, attempt: str, most_files: int, code_version: str = "v1") -> tuple[Path, dict[str, str]]:
        score = Score(notebook="n", input=f"scoring/in/{self.model}", most_files=most_files)
        specified = specifications.load("diabetes", samples.PIPELINES).specification.model_copy(
            update={"model": self.model, "data_contract": DataContract(), "score": score}
        )
        container = f"abfss://data@{self.lake.name}.dfs.core.windows.net"
        inputs = {
            "specification": specified.model_dump_json(exclude_defaults=True), "container_uri": container,
            "output_base": f"{container}/engineered", "source": "incoming", "file_uri": "none",
            "file_version": "none", "file_name": "none", "attempt": attempt, "code_version": code_version,
            "output_folder": "scoring/out",
        }  # fmt: skip
        variables = {f"AZUREML_PARAMETER_{name}": value for name, value in inputs.items()}
        output = self.folder / unique("taken")
        output.mkdir()
        return output, variables | {"AZUREML_RUN_ID": output.name}

    def taken(self, **options: object) -> TakenFiles:
        completed, output = self.run(**options)  # type: ignore[arg-type]
        assert completed.returncode == 0, completed.stderr
        taken = TakenFiles.read(output)
        assert (output / "input_uri").exists() == bool(taken.files), "without files, the notebook has no work"
        return taken

    def versions(self, **options: object) -> list[str]:
        return [file.version for file in self.taken(**options).files]


@pytest.fixture(scope="module")
def environment(cloud: Cloud) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(COMPONENTS / "score/src")])
    return {**os.environ, **cloud.environment, "PYTHONPATH": path}


@pytest.fixture(scope="module")
def processes(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[forked_steps.Steps]:
    modules = ("azure.identity", "azure.storage.filedatalake")
    steps = forked_steps.Steps(environment, tmp_path_factory.mktemp("taking"), modules, mlflow=False)
    yield steps
    steps.close()


@pytest.fixture(scope="module")
def lake(azure: AzureSession) -> Iterator[Lake]:
    group = f"{azure.subscription}/resourceGroups/rg-taking-files"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    yield make_lake(azure, group)
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


@pytest.fixture
def taking(lake: Lake, environment: dict[str, str], processes: forked_steps.Steps, tmp_path: Path) -> Taking:
    return Taking(lake, tmp_path, unique("model"), environment, processes)


def test_files_that_were_not_scored_are_taken_by_content(taking: Taking) -> None:
    texts = {"march.csv": "a\nmarch\n", "april.csv": "a\napril\n"}
    march, april = (taking.leave(name, text) for name, text in texts.items())
    taking.leave("same as april.csv", texts["april.csv"])
    taking.leave("notes.txt", "none")
    taking.leave("empty.csv", "")

    completed, output = taking.run()

    folder = f"scoring/in/{taking.model}"
    files = {file.version: file for file in TakenFiles.read(output).files}
    assert {version: file.name for version, file in files.items()} == {
        march: f"{folder}/march.csv", april: f"{folder}/april.csv"
    }  # fmt: skip
    for version, text in ((march, texts["march.csv"]), (april, texts["april.csv"])):
        assert files[version].uri.endswith(f".dfs.core.windows.net/scoring/files/{version}/data.csv")
        assert taking.blobs.download_blob(f"scoring/files/{version}/data.csv").readall() == text.encode()
    assert "empty.csv is empty, and left where it is" in completed.stdout
    assert f"same as april.csv has the content of {folder}/april.csv" in completed.stdout
    assert (output / "input_uri").read_text().endswith(f"/engineered/{output.name}/files.json")
    assert json.loads((output / "files.json").read_text())["left"] == 0

    taking.score(march)
    assert taking.versions() == [april], "nothing but the ledger decides"
    taking.score(april)
    assert taking.versions() == []
    changed = taking.leave("march.csv", "a\nof another march\n")
    assert taking.versions() == [changed]
    assert set(taking.versions(attempt="again")) == {changed, april}


@pytest.mark.nightly
def test_a_run_takes_as_many_files_as_it_may_and_failed_files_last(taking: Taking) -> None:
    bad = taking.leave("0-bad.csv", "bad")
    assert taking.versions() == [bad]
    taking.ledger.note_failure(Failure(bad, "0-bad.csv", "the header lacks a"), "run")
    good = [taking.leave(f"{number}.csv", str(number)) for number in range(1, 4)]

    completed, output = taking.run(most_files=2)
    taken = TakenFiles.read(output)
    assert ([file.version for file in taken.files], taken.left) == (good[:2], 2)
    assert "2 files wait for the next run: score.most_files is 2" in completed.stdout
    for version in good[:2]:
        taking.score(version)
    taken = taking.taken(most_files=2)
    assert ([file.version for file in taken.files], taken.left) == ([good[2], bad], 0)


def test_a_file_that_was_refused_is_taken_with_new_content_or_again_or_by_another_version(taking: Taking) -> None:
    bad, good = taking.leave("0-bad.csv", "bad"), taking.leave("1-good.csv", "good")
    taking.refuse(bad)

    completed, output = taking.run()
    assert [file.version for file in TakenFiles.read(output).files] == [good]
    assert "0-bad.csv was refused already, under this name or another" in completed.stdout, "its content was not known"
    assert taking.versions() == [good]
    assert set(taking.versions(attempt="again-1")) == {bad, good}
    assert set(taking.versions(code_version="v2")) == {bad, good}, "another version may know better"
    mended = taking.leave("0-bad.csv", "mended")
    assert set(taking.versions()) == {mended, good}


@pytest.mark.nightly
def test_a_file_that_storage_does_not_hand_out_keeps_no_other_from_being_taken(taking: Taking) -> None:
    taking.leave("0-archived.csv", "archived")
    good = taking.leave("1-good.csv", "good")
    archived = taking.blobs.get_blob_client(f"scoring/in/{taking.model}/0-archived.csv")
    archived.set_standard_blob_tier("Archive")

    taken = taking.taken()

    assert [file.version for file in taken.files] == [good]
    (unreadable,) = taken.unreadable
    assert unreadable.name.endswith("/0-archived.csv")
    assert unreadable.reason == "storage does not hand it out (BlobArchived)"
    taking.refuse(unreadable.version)
    assert taking.taken().unreadable == ()
    archived.set_standard_blob_tier("Hot")
    assert len(taking.versions()) == 2, "it can be read now"


@pytest.mark.nightly
def test_a_copy_that_a_lifecycle_rule_deleted_is_made_again(taking: Taking) -> None:
    version = taking.leave("old.csv", "old")
    assert taking.versions() == [version]
    taking.blobs.delete_blob(f"scoring/files/{version}/data.csv")
    assert taking.versions() == [version]
    assert taking.blobs.download_blob(f"scoring/files/{version}/data.csv").readall() == b"old"


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a run that takes files")
def test_a_run_killed_at_any_request_loses_no_file(taking: Taking) -> None:
    version = taking.leave("a.csv", taking.model)
    assert taking.versions() == [version]
    requests = int((taking.folder / "requests").read_text())
    assert requests >= 6, "look for outputs, list twice, read, copy, note, look for the entry"
    # A kill before a request leaves the same state as a kill after the request before.
    for number in range(1, requests + 1):
        fresh = replace(taking, model=unique("model"))
        version = fresh.leave("a.csv", fresh.model)
        killed, _ = fresh.run(kill_at=f"{number}:after")
        assert killed.returncode == -9, (number, killed.stderr)
        assert fresh.versions() == [version], number


@pytest.mark.nightly
def test_two_runs_at_once_take_the_same_files_and_lose_none(taking: Taking) -> None:
    versions = {taking.leave(f"{number}.csv", f"{taking.model} {number}") for number in range(4)}
    for started, output in [taking.start(), taking.start()]:
        _, errors = started.communicate(timeout=120)
        assert started.returncode == 0, errors
        assert {file.version for file in TakenFiles.read(output).files} == versions


def test_an_output_that_a_killed_run_left_gets_its_place(taking: Taking) -> None:
    version = taking.leave("left.csv", "left")
    staged = f"scoring/out/{taking.model}/_staged/{version}.first.abc"
    taking.blobs.upload_blob(f"{staged}/predictions.parquet", b"rows")
    taking.blobs.upload_blob(f"scoring/out/{taking.model}/_staged/{version}.first.other/predictions.parquet", b"lost")
    entry = taking.score(version, staged=staged)

    assert taking.versions() == []

    assert taking.blobs.download_blob(f"{entry.output}/predictions.parquet").readall() == b"rows"
