"""Places on which several modules agree. Imports little: `find` is part of every verb."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from localcloud.core.settings import Settings

OWN_BIN_MARK = ".localcloud-engine"
"""A file of this name marks a folder of launchers made by `pulumi_home`: its content is not the machine's own."""


def pulumi_home_of(settings: Settings) -> Path:
    """PULUMI_HOME of this localcloud."""
    return settings.home / "pulumi"


def pulumi_environment(settings: Settings) -> dict[str, str]:
    """Return the variables of a shell or process that runs `pulumi` against this localcloud's home.

    The plugins are all there, so a missing one is an error at once rather than a download that cannot succeed. The
    engine would prefer a provider plugin on PATH, regardless of the chosen ones.
    """
    return {
        "PULUMI_HOME": str(pulumi_home_of(settings)),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    }


def machine_path() -> str:
    """PATH without the folders that `localcloud env` put there: our launchers, and the folder of this Python.

    So our own tools do not count as the machine's, and a shell sees the same PATH before and after `localcloud env`.
    """
    own = Path(sys.executable).parent
    entries = (Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry)
    return os.pathsep.join(str(entry) for entry in entries if entry != own and not (entry / OWN_BIN_MARK).exists())
