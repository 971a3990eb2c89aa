"""A command's folder: its code, inputs and outputs on this machine, and their way from and to storage.

    RUN/wd           the code snapshot, where the command starts; its outputs/ and logs/ become artifacts of the run
    RUN/inputs/NAME  an input that is mounted or downloaded
    RUN/outputs/NAME an output that is mounted or uploaded
    RUN/user_logs    std_log.txt

There is no lazy mount: mounted data are copied before the command starts, and back when it has ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from localcloud.azureml import paths
from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import blob_logs
from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.jobs.transfer import State, Transfer, state_of
from localcloud.azureml.paths import BlobPath
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.plain_paths import plain
from localcloud.core.resource import Resource

_SHORT = re.compile(r"azureml://datastores/([^/]+)/paths/(.*)", re.IGNORECASE)
_ARTIFACTS = ("outputs", "logs")


@dataclass(frozen=True)
class _Sent:
    """A file or folder that is uploaded when the command has ended; `before` is its state at the command's start."""

    label: str
    source: Path
    place: BlobPath
    mounted: bool
    before: State | None


class WorkFolder:
    """Working folder of one run; `data` is the principal that reaches storage."""

    def __init__(self, ctx: Context, transfer: Transfer, workspace: Resource, run: Run, data: Principal | None) -> None:
        self._ctx = ctx
        self._transfer = transfer
        self._workspace = workspace
        self._run = run
        self._data = data
        self._submitter = ctx.identities.by_object_id(run.submitter)
        self.root = plain(ctx.settings.runs) / f"azureml-{run.id}"
        self.work = self.root / "wd"
        self.log = self.root / blob_logs.STD_LOG
        self.inputs: dict[str, str | None] = {}
        """Values of the command's placeholders."""
        self.outputs: dict[str, str] = {}
        self.notes: list[str] = list(run.spec.get("notes", ()))
        """Lines of localcloud's own, which come first in the log."""
        self._sent_later: list[_Sent] = []

    async def prepare(self) -> None:
        """Fetch code and inputs, and check that the outputs may be written.

        Raises ServiceError for an output that may not be written.
        """
        for folder in (self.root / "home", self.root / "tmp", self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self.inputs = dict.fromkeys(self._run.spec.get("optional", ()))
        data_inputs = [(name, value) for name, value in self._run.inputs.items() if value["type"] != "literal"]
        self.inputs |= {
            name: str(value["value"]) for name, value in self._run.inputs.items() if value["type"] == "literal"
        }
        outputs = list(self._run.outputs.items())
        _, *places = await asyncio.gather(
            asyncio.to_thread(self._code),
            *(asyncio.to_thread(self._input, name, value) for name, value in data_inputs),
            *(asyncio.to_thread(self._output, name, output) for name, output in outputs),
        )
        texts = [str(text) for text in places]
        self.inputs |= {name: text for (name, _), text in zip(data_inputs, texts[: len(data_inputs)], strict=True)}
        self.outputs = {name: text for (name, _), text in zip(outputs, texts[len(data_inputs) :], strict=True)}

    def begin_log(self) -> None:
        self.log.write_text("".join(f"localcloud: {line}\n" for line in self.notes), encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Return AZUREML_PARAMETER_NAME for literal inputs, AZURE_ML_INPUT_NAME and AZURE_ML_OUTPUT_NAME for data.

        Values are exactly the values of the command's placeholders. Source of the first: azure-ai-ml, docstring of
        `CommandJob`; Azure/azureml-assets, whose fine-tuning components read their literal inputs so in every pipeline
        job ("The actual values for them will be read from env variables").
        """
        result = {}
        for name, text in self.inputs.items():
            if text is not None:
                literal = self._run.inputs[name]["type"] == "literal"
                result[f"{'AZUREML_PARAMETER' if literal else 'AZURE_ML_INPUT'}_{name}"] = text
        return result | {f"AZURE_ML_OUTPUT_{name}": text for name, text in self.outputs.items()}

    async def send_outputs(self, *, succeeded: bool) -> None:
        """Send outputs to storage: mounted ones even after a failure, as a mount would; uploads with success alone.

        Raises ServiceError that names the output.
        """
        for sent in self._sent_later:
            if succeeded or sent.mounted:
                await asyncio.to_thread(self._send, sent)

    async def send_artifacts(self) -> list[str]:
        """Copy outputs/ and logs/ of the code folder into the run's artifacts; return the names of log files."""
        account, container = blob_logs.artifact_store(self._ctx, self._workspace)
        logs = []
        for name in _ARTIFACTS:
            source = self.work / name
            if source.is_dir() and not source.is_symlink():
                place = BlobPath(account, container, f"{blob_logs.folder(self._run.id)}/{name}")
                await asyncio.to_thread(self._transfer.upload_folder, source, place)
                if name == "logs":
                    logs = [f"logs/{file.relative_to(source)}" for file in sorted(source.rglob("*")) if file.is_file()]
        return logs

    def clear(self) -> None:
        """Leave the log alone."""
        for name in ("wd", "inputs", "outputs", "home", "tmp"):
            shutil.rmtree(self.root / name, ignore_errors=True)

    def _code(self) -> None:
        reference = self._run.spec.get("code")
        if not reference:
            self.work.mkdir()
            return
        asset = paths.resolve_asset(self._ctx, self._workspace, str(reference), "codes")
        uri = str(asset.properties["codeUri"])
        try:
            place = self._read(uri)
            kept = self._snapshot(f"{self._workspace.properties['workspaceId']}|{asset.id}|{uri}", place)
        except ServiceError as error:
            raise _refused(error, f"The code snapshot '{uri}' cannot be downloaded", self._data) from error
        shutil.copytree(kept, self.work, symlinks=True)

    def _read(self, uri: str) -> BlobPath:
        return self._transfer.reach(self._workspace, self._data, uri, submitter=self._submitter)

    def _snapshot(self, key: str, place: BlobPath) -> Path:
        """Code assets never change: each is downloaded once."""
        kept = self._ctx.settings.runs / "azureml-code" / hashlib.sha256(key.encode()).hexdigest()[:32]
        if not kept.exists():
            fresh = kept.with_name(f"{kept.name}.{uuid.uuid4().hex[:8]}")
            if self._transfer.is_file(place):
                self._transfer.download_file(place, fresh)
            else:
                self._transfer.download_folder(place, fresh)
            try:
                fresh.rename(kept)
            except OSError:  # another step was first
                shutil.rmtree(fresh)
        return kept

    def _input(self, name: str, value: Json) -> str:
        uri, kind, mode = str(value["uri"]), value["type"], value.get("mode") or "ro_mount"
        if mode == "direct":
            return self._long(uri)
        target = self.root / "inputs" / name
        try:
            place = self._read(uri)
            if kind == "uri_file" or (kind == "custom_model" and self._transfer.is_file(place)):
                return str(self._transfer.download_file(place, target))
            self._transfer.download_folder(place, target)
            if mode == "rw_mount":
                self._transfer.reach(self._workspace, self._data, uri, write=True)
                self._sent_later.append(_Sent(f"input '{name}' ({uri})", target, place, True, state_of(target)))
            return str(target)
        except ServiceError as error:
            raise _refused(error, f"The input '{name}' ({uri}) cannot be read", self._data) from error

    def _output(self, name: str, output: Json) -> str:
        uri = str(output["uri"])
        if output["mode"] == "direct":
            return self._long(uri)
        try:
            place = self._transfer.reach(self._workspace, self._data, uri, write=True)
        except ServiceError as error:
            raise _refused(error, f"The output '{name}' ({uri}) cannot be written", self._data) from error
        target = self.root / "outputs" / name
        target.mkdir(parents=True, exist_ok=True)
        mounted, before = output["mode"] == "rw_mount", None
        if output["type"] == "uri_file":
            target = target / name
        elif mounted and output.get("placed"):
            before = self._mounted_state(place, target)
        self._sent_later.append(_Sent(f"output '{name}' ({uri})", target, place, mounted, before))
        return str(target)

    def _mounted_state(self, place: BlobPath, target: Path) -> State:
        """Fetch the files that a mount of a place of the user's choice would show."""
        try:
            self._transfer.download_folder(place, target)
        except ServiceError as error:
            if error.status != 404:
                raise
        return state_of(target)

    def _send(self, sent: _Sent) -> None:
        try:
            if sent.source.is_dir():
                self._transfer.upload_folder(sent.source, sent.place, sent.before)
            elif sent.source.exists():
                self._transfer.upload_file(sent.source, sent.place)
        except Exception as error:
            raise user_error(f"The {sent.label} cannot be written: {error}") from error

    def _long(self, uri: str) -> str:
        match = _SHORT.fullmatch(uri)
        return paths.long_uri(self._workspace, match[1], match[2]) if match else uri


def _refused(error: ServiceError, action: str, data: Principal | None) -> ServiceError:
    reader = ""
    if error.code == "AuthorizationPermissionMismatch" and data is not None:
        reader = (
            f" The job's identity '{data.display_name}' (client id {data.app_id}) needs a role there, such as Storage "
            "Blob Data Contributor (to read only: Storage Blob Data Reader)."
        )
    return ServiceError(error.status, error.code, f"{action}: {error.status} {error.code}: {error.message}{reader}")
