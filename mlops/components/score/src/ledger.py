"""The ledger of scored files: an entry for each file, which decides between runs and names the output's folder.

The output is written to a folder of its own first. Then the entry is made, by one request that fails where an entry
exists (If-None-Match: *): the request decides between runs. Then the folder is renamed to its place, in one step. A
run that is killed before the entry is made leaves only a folder without readers; a run that is killed later leaves an
entry whose output any run can put in its place. There is no lock, so that none can be left behind.

An output that is part of a Delta table is written below the table's folder, with an empty file as its mark in place of
the staged folder. One commit adds the output to the table, and then the mark is deleted.

A file at fault, such as a file without a column, is refused by an entry of another kind, which is made by the same
kind of request. It holds for the published version that refused the file: another version may accept it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient
from azure.storage.filedatalake import FileSystemClient

from steps.specification import PREDICTIONS_FILE

if TYPE_CHECKING:
    from steps.prediction_table import PredictionTable

FOLDER = "scoring/ledger"
SAMPLE = "sample-"
"""Attempts that begin with it only try a version: they do not count as predictions."""
ENTRIES_FILE = "entries.json"
"""File in the score step's output with the entries of the files that the run scored."""
REFUSALS_FILE = "refusals.json"
"""File beside it with the refusals of the files that the run refused."""
FAILURES_FILE = "failures.json"
"""File beside it with the reasons for which other files were not scored. The step watch fails for them at the end."""
FIRST = "first"
"""The attempt of a file that was not scored before. Others have names of their own: a file is scored once for each."""
KEPT = "never"
"""Value in place of the days after which a step deletes rows of a table."""
STAGED = "_staged"
"""Folder of outputs that are being written. Readers of Parquet leave out names that begin with an underscore."""
_SCOPE = "https://storage.azure.com/.default"
_ENTRY = re.compile(r"([0-9a-f]{64})/([^/]+)\.json")
_REFUSED = re.compile(r"([0-9a-f]{64})/_refused/([^/]+)/([^/]+)\.json")
_FAILED = "_failed"
"""Name in place of an attempt: the cause of the file's last failure. It only decides the order of the next run."""
_KNOWN = re.compile(r"_known/([0-9a-f]{64})\.([0-9a-f]{64})")


@dataclass(frozen=True)
class Entry:
    """Result of scoring a file. `staged`: the folder in which the output was written; `output`: its place."""

    file_version: str
    file_name: str
    attempt: str
    run: str
    model: str
    model_version: str
    code_version: str
    scored_at: str
    staged: str
    output: str
    quarantine: str | None
    rows_read: int
    rows_scored: int
    rows_refused: int
    reasons: dict[str, int]
    table: str = ""
    """Folder of the Delta table that the output is part of; empty for an output that is a folder of its own."""

    def as_json(self) -> bytes:
        """Return the entry's content. Versions without tables do not know their field."""
        content = asdict(self)
        if not self.table:
            del content["table"]
        return json.dumps(content, indent=2).encode()

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Entry:
        """Return an entry by its content; fields of a later version are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


@dataclass(frozen=True)
class Failure:
    """Why a file was not scored."""

    file_version: str
    file_name: str
    reason: str


@dataclass(frozen=True)
class Refusal:
    """Why a file cannot be scored by a published version: the file itself is at fault.

    `file_version` is the SHA-256 of its content, or of the blob's name and ETag where the content cannot be read.
    `quarantine`: the refused rows, or the reason alone where the rows are not known; `rows_read` is 0 then.
    """

    file_version: str
    file_name: str
    attempt: str
    run: str
    model: str
    model_version: str
    code_version: str
    refused_at: str
    reason: str
    quarantine: str
    rows_read: int
    rows_refused: int


@dataclass(frozen=True)
class RunRecord:
    """Results of a run for the files that it took. `left`: files that wait for the next run."""

    run: str
    attempt: str
    files: tuple[str, ...]
    failures: tuple[Failure, ...]
    left: int
    refused: tuple[str, ...] = ()
    """Files that it refused, or that were refused before."""


@dataclass(frozen=True)
class Contents:
    """Entries of a ledger, read from the names of its blobs alone.

    `scored`: files with their attempts; `refused`: the same with the published version that refused them; `failed`:
    files that failed, with the time of the last failure; `known`: files by the key of a blob that was read.
    """

    scored: set[tuple[str, str]] = field(default_factory=set)
    refused: set[tuple[str, str, str]] = field(default_factory=set)
    failed: dict[str, datetime] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)


class Ledger:
    """The entries of a model. `files` and `blobs` are clients of the same container, by the two protocols."""

    def __init__(self, files: FileSystemClient, blobs: ContainerClient, model: str) -> None:
        self._files = files
        self._blobs = blobs
        self._folder = f"{FOLDER}/{model}"

    def read(self, file_version: str, attempt: str) -> Entry | None:
        """Return the entry of a file, None when it was not scored."""
        try:
            content = self._blobs.download_blob(self._path(file_version, attempt)).readall()
        except ResourceNotFoundError:
            return None
        return Entry.parse(json.loads(content))

    def contents(self) -> Contents:
        """Return the entries of all files, by one listing."""
        contents = Contents()
        for blob in self._blobs.list_blobs(name_starts_with=f"{self._folder}/"):
            name = blob.name.removeprefix(f"{self._folder}/")
            if entry := _ENTRY.fullmatch(name):
                if entry[2] == _FAILED:
                    contents.failed[entry[1]] = blob.last_modified
                else:
                    contents.scored.add((entry[1], entry[2]))
            elif refused := _REFUSED.fullmatch(name):
                contents.refused.add((refused[1], refused[3], refused[2]))
            elif known := _KNOWN.fullmatch(name):
                contents.known[known[1]] = known[2]
        return contents

    def know(self, key: str, file_version: str) -> None:
        """Remember which file a blob is, so that later runs need not read it. `key` is a SHA-256."""
        self._blobs.upload_blob(f"{self._folder}/_known/{key}.{file_version}", b"", overwrite=True)

    def note_failure(self, failure: Failure, run: str) -> None:
        """Note why a file was not scored, in place of an earlier note."""
        content = json.dumps(asdict(failure) | {"run": run}, indent=2).encode()
        self._blobs.upload_blob(self._path(failure.file_version, _FAILED), content, overwrite=True)

    def record(self, record: RunRecord) -> None:
        """Store a run's results, for its followers."""
        content = json.dumps(asdict(record), indent=2).encode()
        self._blobs.upload_blob(f"{self._folder}/_runs/{record.run}.json", content, overwrite=True)

    def recorded(self, run: str) -> RunRecord | None:
        """Return a run's results, None before its score step ended."""
        try:
            content = json.loads(self._blobs.download_blob(f"{self._folder}/_runs/{run}.json").readall())
        except ResourceNotFoundError:
            return None
        failures = tuple(Failure(**failure) for failure in content.pop("failures"))
        lists = {"files": tuple(content["files"]), "refused": tuple(content.get("refused", ()))}
        return RunRecord(**content | lists | {"failures": failures})

    def refusal(self, file_version: str, attempt: str, code_version: str) -> Refusal | None:
        """Return why a published version refused a file, None when it did not."""
        try:
            content = self._blobs.download_blob(self._refusal_path(file_version, attempt, code_version)).readall()
        except ResourceNotFoundError:
            return None
        return Refusal(**json.loads(content))

    def refuse(self, refusal: Refusal) -> Refusal:
        """Refuse a file unless this published version did; return the refusal that counts."""
        of_file = refusal.file_version, refusal.attempt, refusal.code_version
        content = json.dumps(asdict(refusal), indent=2).encode()
        try:
            self._blobs.upload_blob(self._refusal_path(*of_file), content, overwrite=False)
        except ResourceExistsError:
            present = self.refusal(*of_file)
            if present is None:
                raise
            return present
        return refusal

    def commit(self, entry: Entry) -> Entry:
        """Make the entry unless there is one, and put its output in its place. Return the entry that counts.

        Raises ResourceNotFoundError when the entry's own output is not there.
        """
        counts = self._make(entry)
        if not self.settle(counts) and counts == entry:
            raise ResourceNotFoundError(f"The output {entry.output} is not there.")
        if counts != entry and entry.table:
            self._discard(entry)
        return counts

    def settle(self, entry: Entry) -> bool:
        """Put the output of an entry in its place, unless another run did. Return whether it is there."""
        if entry.table:
            return self._settle_in_table(entry)
        self._make_folder(entry.output.rpartition("/")[0])
        try:
            # The condition is the destination's: an existing file is never replaced.
            self._files.get_directory_client(entry.staged).rename_directory(
                f"{self._files.file_system_name}/{entry.output}", match_condition=MatchConditions.IfMissing
            )
        except (ResourceNotFoundError, ResourceExistsError):
            return self.has_output(entry)
        except HttpResponseError as error:
            if error.status_code != 412:
                raise
            return self.has_output(entry)
        return True

    def settle_left(self, root: str) -> None:
        """Put outputs in their places for runs that were killed after they had made the entry."""
        try:
            staged = [str(path.name) for path in self._files.get_paths(f"{root}/{STAGED}", recursive=False)]
        except ResourceNotFoundError:
            return
        for path in staged:
            file_version, _, rest = path.rpartition("/")[2].partition(".")
            entry = self.read(file_version, rest.rpartition(".")[0])
            if entry is not None and entry.staged == path:
                self.settle(entry)

    def _settle_in_table(self, entry: Entry) -> bool:
        """Add the output to its table, once; return whether it is there.

        Jobs of a pipeline that writes no tables now have no library for them, and leave it to the verbs of `mlops`.
        """
        mark = self._blobs.get_blob_client(entry.staged)
        if find_spec("deltalake") is None or not mark.exists():
            return self.has_output(entry)
        from steps.prediction_table import PredictionFile

        path = f"{entry.output}/{PREDICTIONS_FILE}"
        try:
            properties = self._blobs.get_blob_client(path).get_blob_properties()
        except ResourceNotFoundError:
            return False
        file = PredictionFile(
            path=path.removeprefix(f"{entry.table}/"), size=properties.size, rows=entry.rows_scored,
            day=entry.scored_at[:10], modified=properties.last_modified,
        )  # fmt: skip
        with prediction_table(self._blobs, entry.table) as table:
            table.add(file, f"{entry.file_version}/{entry.attempt}")
        with suppress(ResourceNotFoundError):  # another run was first
            mark.delete_blob()
        return True

    def _discard(self, entry: Entry) -> None:
        """Delete an output that another run's entry makes void: readers of the table's folder as files would see it."""
        with suppress(ResourceNotFoundError):
            self._files.get_directory_client(entry.output).delete_directory()
        with suppress(ResourceNotFoundError):
            self._blobs.delete_blob(entry.staged)

    def has_output(self, entry: Entry) -> bool:
        """Return whether the output is in its place: lifecycle rules delete it after some time."""
        if entry.table:
            return bool(self._blobs.get_blob_client(f"{entry.output}/{PREDICTIONS_FILE}").exists())
        return bool(self._files.get_directory_client(entry.output).exists())

    def _make(self, entry: Entry) -> Entry:
        content = entry.as_json()
        try:
            # One request writes it, so that no half of an entry can be left behind.
            self._blobs.upload_blob(self._path(entry.file_version, entry.attempt), content, overwrite=False)
        except ResourceExistsError:
            # It may be this one: where the answer to the request is lost, the client sends it again.
            present = self.read(entry.file_version, entry.attempt)
            if present is None:
                raise
            return present
        return entry

    def _make_folder(self, folder: str) -> None:
        try:
            self._files.get_directory_client(folder).create_directory(match_condition=MatchConditions.IfMissing)
        except ResourceExistsError:
            return
        except HttpResponseError as error:
            if error.status_code != 412:
                raise

    def _path(self, file_version: str, attempt: str) -> str:
        return f"{self._folder}/{file_version}/{attempt}.json"

    def _refusal_path(self, file_version: str, attempt: str, code_version: str) -> str:
        return f"{self._folder}/{file_version}/_refused/{code_version}/{attempt}.json"


@contextmanager
def prediction_table(blobs: ContainerClient, folder: str) -> Iterator[PredictionTable]:
    """Yield the table in a folder of a container, reached as the container's client is.

    Raises AzureError for the table's own errors: callers treat them like errors of storage.
    """
    from steps.prediction_table import PredictionTable, TableError  # not in each environment

    credential: Any = blobs.credential

    def options() -> dict[str, str]:
        return {
            "azure_storage_account_name": str(blobs.account_name),
            "azure_storage_endpoint": f"{blobs.scheme}://{blobs.primary_hostname}",
            "azure_storage_token": credential.get_token(_SCOPE).token,
        }

    try:
        yield PredictionTable(f"abfss://{blobs.container_name}/{folder}", options)
    except TableError as error:
        raise AzureError(str(error)) from error


def staged_name(file_version: str, attempt: str, own: str) -> str:
    """Return the name of a folder below STAGED, from which `settle_left` finds the entry."""
    return f"{file_version}.{attempt}.{own}"


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the numbers of entries, as metrics."""
    return {
        name: sum(getattr(entry, name) for entry in entries) for name in ("rows_read", "rows_scored", "rows_refused")
    }
