"""The Pulumi CLI, run for the bootstrap: with a state on this machine until there is a container for it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobClient
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from bootstrap.naming import OWN_CONTAINER, Names
from bootstrap.settings import PROJECT, Settings, SettingsError, read_settings

_LOCAL_STATE = ".state"
_PROPAGATION_SECONDS = 300
"""A new role assignment takes effect everywhere within some minutes."""


class BootstrapError(Exception):
    """An error that the operator can mend; the text names the mend."""


class PulumiError(BootstrapError):
    """A failed command of the CLI, which has printed the reason."""


@dataclass(frozen=True)
class Backend:
    """Place of the bootstrap's own state, and the variables that open it."""

    url: str
    variables: Mapping[str, str]


class Engine:
    """The CLI in the folder of the project, which has Pulumi.yaml and the stack's settings file."""

    def __init__(self, folder: Path, stack: str) -> None:
        self.folder, self.stack = folder, stack

    @property
    def settings_file(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    @property
    def local_state(self) -> Path:
        return self.folder / _LOCAL_STATE

    def settings(self) -> Settings:
        """Read the stack's settings without the engine. Raises BootstrapError."""
        try:
            return read_settings(self._config())
        except SettingsError as error:
            raise BootstrapError(str(error)) from None

    def subscription(self) -> str | None:
        """Return azure-native's subscription from the settings file, None without one. Raises BootstrapError."""
        return self._config().get("azure-native:subscriptionId")

    def _config(self) -> dict[str, str]:
        if not self.settings_file.exists():
            raise BootstrapError(f"{self.settings_file} is missing: copy Pulumi.main.yaml and fill in your values.")
        try:
            content = yaml.safe_load(self.settings_file.read_text(encoding="utf-8")) or {}
            return {str(key): _text(value) for key, value in (content.get("config") or {}).items()}
        except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
            raise BootstrapError(f"{self.settings_file} is not a settings file: {error}") from error

    def pulumi(self, backend: Backend, *words: str, quiet: bool = False) -> str:
        """Run one command; its output is shown unless `quiet`, and returned then. Raises PulumiError."""
        if shutil.which("pulumi") is None:
            raise BootstrapError('pulumi is not on PATH: install it, or run `make tools` and `eval "$(make env)"`.')
        environment = {**os.environ, "PULUMI_BACKEND_URL": backend.url, **backend.variables}
        completed = subprocess.run(
            ["pulumi", *words, "--non-interactive"], cwd=self.folder, env=environment, text=True, check=False,
            capture_output=quiet,
        )  # fmt: skip
        if completed.returncode != 0:
            detail = f": {completed.stderr.strip() or completed.stdout.strip()}" if quiet else "."
            raise PulumiError(f"`pulumi {' '.join(words)}` failed{detail}")
        return completed.stdout if quiet else ""

    def remote(self, settings: Settings) -> Backend:
        """Return the backend in the bootstrap's own container, whose secrets a key of its vault encrypts."""
        names = Names(settings.base_name)
        return Backend(f"azblob://{OWN_CONTAINER}?storage_account={names.account}", {})

    def remote_has_state(self, settings: Settings) -> bool:
        """Return whether the state is in the container. Raises BootstrapError for an account without access."""
        account = Names(settings.base_name).account
        blob = BlobClient(
            f"https://{account}.blob.core.windows.net", OWN_CONTAINER,
            f".pulumi/stacks/{PROJECT}/{self.stack}.json", credential=DefaultAzureCredential(), retry_total=0,
        )  # fmt: skip
        try:
            return blob.exists()
        except ClientAuthenticationError as error:
            raise BootstrapError(f"Cannot sign in to Azure: {error.message}") from error
        except ServiceRequestError:
            return False  # no such account: its name does not resolve
        except HttpResponseError as error:
            if error.status_code in {400, 404}:
                return False
            raise BootstrapError(
                f"The storage account {account} exists, and you may not read {OWN_CONTAINER} in it ({error.reason}). "
                "If it is yours, add yourself to `operators`, or ask one of them to run this; if another subscription "
                "has the name, choose another base_name."
            ) from error

    @contextmanager
    def temporary(self) -> Iterator[Backend]:
        """Provide an empty state for a dry run. Afterwards remove it and restore the settings file."""
        before = self.settings_file.read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield _local(Path(folder))
            finally:
                self.settings_file.write_bytes(before)

    def local(self) -> Backend:
        """Return the backend on this machine, whose state is kept until it is moved."""
        self.local_state.mkdir(mode=0o700, exist_ok=True)
        return _local(self.local_state)

    def move(self, settings: Settings, backend: Backend) -> Backend:
        """Move the state from `backend` to the container and delete the local one. Return the container's backend."""
        remote = self.remote(settings)
        names = Names(settings.base_name)
        with tempfile.TemporaryDirectory() as folder:
            exported = Path(folder) / "state.json"
            # The export is in the clear, since the key that seals it changes; the state holds no secret, and the file
            # is deleted at once.
            self.pulumi(backend, "stack", "export", "--stack", self.stack, "--show-secrets", "--file", str(exported),
                        quiet=True)  # fmt: skip
            provider = names.secrets_provider("bootstrap")
            for attempt in Retrying(
                stop=stop_after_delay(_PROPAGATION_SECONDS), wait=wait_fixed(10),
                retry=retry_if_exception_type(PulumiError), reraise=True,
            ):  # fmt: skip
                with attempt:
                    self.ensure_stack(remote, provider)
            self.pulumi(remote, "stack", "import", "--stack", self.stack, "--file", str(exported), quiet=True)
        self.pulumi(remote, "preview", "--stack", self.stack, "--expect-no-changes", quiet=True)
        shutil.rmtree(self.local_state)
        return remote

    def ensure_stack(self, backend: Backend, provider: str) -> bool:
        """Create the stack unless it exists. Return whether it was created."""
        listed = json.loads(self.pulumi(backend, "stack", "ls", "--output", "json", quiet=True))
        if any(stack["name"] == self.stack for stack in listed):
            return False
        self.pulumi(backend, "stack", "init", self.stack, "--secrets-provider", provider, quiet=True)
        return True


def _local(folder: Path) -> Backend:
    """Return a backend in a folder, with a random passphrase: the CLI needs one, though the state has no secret."""
    passphrase = folder / "passphrase"
    if not passphrase.exists():
        descriptor = os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(32))
    return Backend(f"file://{folder}", {"PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase)})


def _text(value: object) -> str:
    """Return a value of the settings file as Pulumi passes it to a program."""
    return value if isinstance(value, str) else json.dumps(value)
