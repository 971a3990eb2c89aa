"""Paths that are one word to a shell, for commands with Azure ML's placeholders of paths.

Azure ML puts the path of an input or output into a command's line unquoted, and on Azure it is always plain:
/mnt/azureml/…. A user's home here may be "/home/me/My Projects/…".
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from localcloud.core.errors import LocalcloudError

_PLAIN = re.compile(r"[A-Za-z0-9_./+@:,-]+")
_LINKS = Path("/tmp")  # noqa: S108 - the link's owner is checked; TMPDIR of the gateway is below the home


def plain(folder: Path) -> Path:
    """Return a folder's path if it is plain, or else a link's plain path to it.

    Raises LocalcloudError when the link's name is taken.
    """
    if _PLAIN.fullmatch(str(folder)):
        return folder
    link = _link(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(folder, target_is_directory=True)
    except FileExistsError as error:
        own = link.is_symlink() and link.lstat().st_uid == os.getuid()
        if not own or link.readlink() != folder:
            raise LocalcloudError(f"{link} is not localcloud's link to {folder}: delete it.") from error
    return link


def remove_link(folder: Path) -> None:
    """Remove the link that `plain` made for a folder, if it did."""
    link = _link(folder)
    if link.is_symlink() and link.lstat().st_uid == os.getuid():
        link.unlink()


def _link(folder: Path) -> Path:
    return _LINKS / f"localcloud-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
