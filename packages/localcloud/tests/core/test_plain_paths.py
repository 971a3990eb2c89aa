"""Plain paths to folders whose own path a shell would split."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.core import plain_paths
from localcloud.core.errors import LocalcloudError


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder in which links are made."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setattr(plain_paths, "_LINKS", folder)
    yield folder


def test_a_plain_path_stays_unchanged(tmp_path: Path, links: Path) -> None:
    assert plain_paths.plain(tmp_path / "runs") == tmp_path / "runs"
    assert list(links.iterdir()) == []


@pytest.mark.parametrize("name", ["My Projects", "it's", "a$b", "naïve", "a;b", "(1)"])
def test_a_folder_is_reached_by_a_plain_link_as_long_as_it_is_needed(tmp_path: Path, links: Path, name: str) -> None:
    folder = tmp_path / name / "runs"
    link = plain_paths.plain(folder)
    (link / "file").write_text("text")
    assert (folder / "file").read_text() == "text"
    assert name not in str(link)
    assert plain_paths.plain(folder) == link, "the link is there already"
    plain_paths.remove_link(folder)
    plain_paths.remove_link(folder)
    assert list(links.iterdir()) == []
    assert (folder / "file").exists()


def test_a_name_that_is_taken_is_an_error(tmp_path: Path, links: Path) -> None:
    folder = tmp_path / "My Projects"
    link = plain_paths.plain(folder)
    link.unlink()
    link.symlink_to(os.sep)
    with pytest.raises(LocalcloudError, match=r"localcloud-[0-9a-f]{16} is not localcloud's link to .*My Projects"):
        plain_paths.plain(folder)
