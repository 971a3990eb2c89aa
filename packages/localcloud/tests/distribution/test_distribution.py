"""localcloud installed from its wheel, without this repository, runs another Pulumi program than its tests'."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from localcloud.core.settings import load_settings
from localcloud.testing.cloud import free_port

pytestmark = pytest.mark.nightly
PACKAGE = Path(__file__).resolve().parents[2]
EXAMPLE = PACKAGE / "examples" / "storage-and-vault"
_LOCK = PACKAGE.parents[1] / "requirements.txt"
_UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Installed:
    """An environment with nothing but the wheel and its dependencies, and a home directory of its own."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str, cwd: Path | None = None, **more: str) -> str:
        completed = subprocess.run(
            words, cwd=cwd or self.folder, env=self.environment | more, capture_output=True, text=True, check=False,
            timeout=600,
        )  # fmt: skip
        assert completed.returncode == 0, f"{' '.join(words)}:\n{completed.stdout}{completed.stderr}"
        return completed.stdout

    def variables(self) -> dict[str, str]:
        """Return the variables that `eval "$(localcloud env)"` sets."""
        return dict(re.findall(r"^export (\w+)='(.*)'$", self.run("localcloud", "env"), re.MULTILINE))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    home = folder / "home directory"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(folder / "venv" / "bin"), os.environ["PATH"]]),
        "LANG": "C.UTF-8",
        "LOCALCLOUD_PORT": str(free_port()),
        "LOCALCLOUD_CACHE": str(load_settings().cache),
    }
    installation = Installed(folder, environment)
    _uv("build", "--wheel", "--out-dir", str(folder), str(PACKAGE))
    _uv("venv", "--python", sys.executable, str(folder / "venv"))
    (wheel,) = folder.glob("*.whl")
    # The locked versions are in uv's cache already; which others the ranges allow is the users' own choice.
    pins = [line.removesuffix("\\") for line in _LOCK.read_text().splitlines() if re.match(r"[\w.-]+==", line)]
    (folder / "constraints.txt").write_text("\n".join(pins))
    python = str(folder / "venv" / "bin" / "python")
    _uv("pip", "install", "--python", python, "--constraints", str(folder / "constraints.txt"), str(wheel))
    yield installation
    installation.run("localcloud", "stop")


def _uv(*words: str) -> None:
    """Run uv with this machine's own registries."""
    completed = subprocess.run([_UV, *words], capture_output=True, text=True, check=False, timeout=600)
    assert completed.returncode == 0, completed.stderr


def test_the_repository_is_not_on_its_path(installed: Installed) -> None:
    places = installed.run("python", "-c", "import localcloud, sys; print(localcloud.__file__, *sys.path, sep='\\n')")

    assert str(PACKAGE.parents[1]) not in places
    assert "localcloud/__init__.py" in places.splitlines()[0]


def test_another_program_is_deployed_and_destroyed(installed: Installed, tmp_path: Path) -> None:
    program = tmp_path / "a program"
    shutil.copytree(EXAMPLE, program)
    account = f"st{os.urandom(5).hex()}"
    installed.run("localcloud", "start", "--register", "Microsoft.Storage,Microsoft.KeyVault")
    variables = installed.variables()

    installed.run("pulumi", "stack", "init", "dev", cwd=program, **variables)
    installed.run("pulumi", "config", "set", "account", account, cwd=program, **variables)
    up = installed.run("pulumi", "up", "--yes", "--skip-preview", cwd=program, **variables)

    assert f'blobs: "https://{account}.blob.core.windows.net/"' in up
    assert "5 created" in up
    assert variables["PULUMI_BACKEND_URL"] == "azblob://state?storage_account=stlocalcloudstate"
    home = Path(installed.environment["HOME"])
    assert Path(variables["LOCALCLOUD_HOME"]) == home / ".local" / "state" / "localcloud"
    again = installed.run("pulumi", "preview", "--expect-no-changes", cwd=program, **variables)
    assert "5 unchanged" in again
    destroyed = installed.run("pulumi", "destroy", "--yes", "--skip-preview", cwd=program, **variables)
    assert "5 deleted" in destroyed


def test_no_name_of_the_repository_s_product_is_in_it(installed: Installed) -> None:
    package = Path(installed.run("python", "-c", "import localcloud; print(localcloud.__path__[0])").strip())

    files = [file for file in package.rglob("*.*") if file.suffix != ".pyc" and b"dataops" in file.read_bytes().lower()]

    assert files == []
