"""The list of the files that a scoring run takes, handed on by its steps: take_files, the notebook, score."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

INCOMING, FILE = "incoming", "file"
"""Sources of a run: the files of the input folder that were not scored, or one file."""
SOURCE = "source"
"""Input of the pipeline that earlier versions do not have: they score a file that the run names."""
NO_FILE = "none"
"""Value in place of a file's name, where the run takes the files of the input folder."""
LIST = "files.json"
INPUT_URI = "input_uri"
"""File of a step's output with the input of the next step's notebook; without it, the notebook has no work."""


@dataclass(frozen=True)
class TakenFile:
    """A file by its content (SHA-256), the name under which people know it, and where its copy is."""

    version: str
    name: str
    uri: str


@dataclass(frozen=True)
class UnreadableFile:
    """A file whose content storage does not hand out, by the key of its blob, and the reason."""

    version: str
    name: str
    reason: str


@dataclass(frozen=True)
class TakenFiles:
    """`left`: files that were not scored either, and wait for the next run."""

    files: tuple[TakenFile, ...]
    left: int = 0
    unreadable: tuple[UnreadableFile, ...] = ()

    def write(self, folder: Path, uri: str) -> None:
        """Write the list into a folder whose URI is `uri`, and name it there unless it is empty."""
        content = {
            "files": [asdict(file) for file in self.files], "left": self.left,
            "unreadable": [asdict(file) for file in self.unreadable],
        }  # fmt: skip
        (folder / LIST).write_text(json.dumps(content), encoding="utf-8")
        if self.files:
            (folder / INPUT_URI).write_text(f"{uri}/{LIST}", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> TakenFiles:
        """Return the list in a folder."""
        content = json.loads((folder / LIST).read_text(encoding="utf-8"))
        unreadable = tuple(UnreadableFile(**file) for file in content["unreadable"])
        return cls(tuple(TakenFile(**file) for file in content["files"]), content["left"], unreadable)
