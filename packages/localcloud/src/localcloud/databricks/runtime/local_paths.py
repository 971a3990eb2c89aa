"""Refuses files below /dbfs and /Volumes, which are not the driver's disk on Databricks and are not mounted here."""

from __future__ import annotations

import sys
from typing import Any

from .host import NotEmulatedError

_ROOTS = ("/dbfs/", "/Volumes/")
_EVENTS = frozenset({"open", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.listdir", "os.scandir"})
"""Audit events of Python whose first arguments are paths (docs.python.org "Audit events table")."""
_DBFS_ERROR = 'No FileSystem for scheme "dbfs"'


def install() -> None:
    """Add the audit hook; Python cannot remove one."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            for path in arguments[:2]:
                if isinstance(path, str) and f"{path}/".startswith(_ROOTS):
                    raise NotEmulatedError(f"files at {path.split('/')[1]!r} ({path}): {INSTEAD}")

    sys.addaudithook(refuse)


INSTEAD = "use abfss:// addresses with Spark or dbutils.fs; the driver's own disk, such as /tmp, is gone with the run"


def explained(error: str) -> str:
    """Add the meaning to Hadoop's error: Spark's paths without a scheme are on DBFS, as on Databricks."""
    if _DBFS_ERROR not in error:
        return error
    return f"{error}\nlocalcloud does not emulate DBFS, where paths without a scheme are: {INSTEAD}."
