"""All tools of localcloud as one value: found on the machine, or installed.

`find` costs a few milliseconds once a stamp file in the localcloud's home has the place of each tool and all
conditions of it: the machine's PATH and JAVA_HOME, the pins, this Python, and each tool's file.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.core.settings import Settings
from localcloud.engine import vendor_plugins
from localcloud.engine.places import machine_path, pulumi_home_of
from localcloud.engine.versions import ENGINE, NOTEBOOK_RUNTIME

_STAMP = "toolchain.json"


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Paths of the tools. `origins` names their sources for people: "PATH 20.20.2", "cache 3.259.0"."""

    pulumi: Path
    java_home: Path
    node: Path
    azurite_blob: list[str]
    abfs_jars: list[Path]
    delta_jars: list[Path]
    python: Path
    """The interpreter of jobs and notebook runs."""
    notebook_python: Path
    """The interpreter of notebook runs, in the environment with the Databricks Runtime's packages."""
    pulumi_home: Path
    path_entries: list[Path]
    origins: dict[str, str]


def find(settings: Settings) -> Toolchain | None:
    """Return the toolchain if all of it is there, None if something is missing or changed. Installs nothing."""
    known, stamp = _recorded(settings)
    if known is None:
        return None
    signature = _signature(known.java_home, vendor_plugins.user_home(settings, stamp["vendor_home"]))
    return known if stamp["signature"] == signature else None


def last_chosen(settings: Settings) -> Toolchain | None:
    """Return the toolchain that was chosen last, None if one of its files has changed.

    A shell with another PATH, or an updated checkout, may lead to another choice the next time.
    """
    return _recorded(settings)[0]


def _recorded(settings: Settings) -> tuple[Toolchain | None, dict[str, Any]]:
    try:
        stamp = json.loads((pulumi_home_of(settings) / _STAMP).read_text())
        known = _from_json(stamp["toolchain"])
        same = all(_mtime(file) == time for file, time in stamp["files"].items())
        return (known if same and {"signature", "vendor_home"} <= stamp.keys() else None), stamp
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}  # no stamp, or one of another version of this module


def write_stamp(settings: Settings, toolchain: Toolchain, files: Iterable[Path]) -> None:
    """Let `find` answer with this toolchain for as long as none of `files` changes."""
    vendor_home = vendor_plugins.user_home(settings)
    stamp = {
        "signature": _signature(toolchain.java_home, vendor_home),
        "vendor_home": vendor_home,
        "files": {str(file): _mtime(file) for file in files},
        "toolchain": _to_json(toolchain),
    }
    home = pulumi_home_of(settings)
    fresh = home / f"{_STAMP}.{os.getpid()}"
    fresh.write_text(json.dumps(stamp, indent=1))
    fresh.replace(home / _STAMP)


def _signature(java_home: Path, vendor_home: str) -> str:
    """Return a hash of everything that the choice of a tool depends on.

    A JAVA_HOME with the chosen Java changes nothing: `localcloud env` sets it.
    """
    java = os.environ.get("JAVA_HOME", "")
    pins = [
        ENGINE / "versions.py",
        ENGINE / "abfs.py",
        ENGINE / "delta.py",
        ENGINE / "python_runtime.py",
        ENGINE / "notebook_runtime.py",
        ENGINE / "pulumi_home.py",
        ENGINE / "vendor_plugins.py",
        ENGINE / "pulumi_cli" / "go.sum",
        ENGINE / "azurite" / "package-lock.json",
        ENGINE / "requirements" / "java.txt",
        ENGINE / "requirements" / "node.txt",
        ENGINE / "requirements" / f"databricks-{NOTEBOOK_RUNTIME}.txt",
        *_provider_metadata(),
    ]
    parts = [machine_path(), "" if java == str(java_home) else java, sys.executable, str(ENGINE)]
    if vendor_plugins.choice() == "vendor":
        parts += ["vendor", vendor_home]
    parts += [f"{file}:{_mtime(file)}" for file in pins]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _provider_metadata() -> list[Path]:
    """Return the metadata folders of the provider SDKs: another version is another folder, and another plugin."""
    site = Path(sys.prefix) / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    return sorted(site.glob("pulumi*.dist-info"))


def _mtime(file: Path | str) -> int:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return 0


def _to_json(toolchain: Toolchain) -> dict[str, Any]:
    return {
        "pulumi": str(toolchain.pulumi),
        "java_home": str(toolchain.java_home),
        "node": str(toolchain.node),
        "azurite_blob": toolchain.azurite_blob,
        "abfs_jars": [str(jar) for jar in toolchain.abfs_jars],
        "delta_jars": [str(jar) for jar in toolchain.delta_jars],
        "python": str(toolchain.python),
        "notebook_python": str(toolchain.notebook_python),
        "pulumi_home": str(toolchain.pulumi_home),
        "path_entries": [str(entry) for entry in toolchain.path_entries],
        "origins": toolchain.origins,
    }


def _from_json(data: dict[str, Any]) -> Toolchain:
    return Toolchain(
        pulumi=Path(data["pulumi"]),
        java_home=Path(data["java_home"]),
        node=Path(data["node"]),
        azurite_blob=list(data["azurite_blob"]),
        abfs_jars=[Path(jar) for jar in data["abfs_jars"]],
        delta_jars=[Path(jar) for jar in data["delta_jars"]],
        python=Path(data["python"]),
        notebook_python=Path(data["notebook_python"]),
        pulumi_home=Path(data["pulumi_home"]),
        path_entries=[Path(entry) for entry in data["path_entries"]],
        origins=dict(data["origins"]),
    )
