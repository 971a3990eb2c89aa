"""Release from one environment to the next: commit, lock file, published version."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipelines.agent import release
from pipelines.agent.release import ReleaseError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a git checkout with a lock file, in build 4711."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "requirements.txt").write_text("a==1\n", encoding="utf-8")
    monkeypatch.setattr(release, "ROOT", root)
    monkeypatch.setenv("BUILD_BUILDID", "4711")
    monkeypatch.setenv("AMLPIPELINE_ID", "/components/train_diabetes/versions/4711")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    _git(root, "init", "--quiet")
    _commit(root, "first")
    return root


def _git(root: Path, *words: str) -> None:
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *author, *words], cwd=root, check=True, capture_output=True)


def _commit(root: Path, text: str) -> None:
    (root / "file").write_text(text, encoding="utf-8")
    _git(root, "add", ".")
    _git(root, "commit", "--quiet", "--message", text)


def test_the_check_reads_the_release_as_written(checkout: Path, tmp_path: Path) -> None:
    written = release.write(tmp_path / "artifact")

    assert release.check(tmp_path / "artifact") == written
    content = json.loads((tmp_path / "artifact" / "release.json").read_text(encoding="utf-8"))
    assert content["version"] == "4711"
    assert content["pipeline_id"] == "/components/train_diabetes/versions/4711"


@pytest.mark.parametrize("published", ["", "/components/train_diabetes/versions/4710", "$(AMLPIPELINE_ID)"])
def test_a_pipeline_of_another_build_is_not_released(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: str
) -> None:
    monkeypatch.setenv("AMLPIPELINE_ID", published)

    with pytest.raises(ReleaseError) as caught:
        release.write(tmp_path / "artifact")

    assert f"AMLPIPELINE_ID is {published or 'not set'}: " in str(caught.value)
    assert "of version 4711" in str(caught.value)
    assert not (tmp_path / "artifact").exists()


def test_another_commit_is_refused_with_both_named(checkout: Path, tmp_path: Path) -> None:
    passed = release.write(tmp_path)
    _commit(checkout, "second")

    with pytest.raises(ReleaseError) as caught:
        release.check(tmp_path)

    assert str(caught.value) == (
        f"This differs from the tested release:\n  commit: {passed.commit} passed, {release.current().commit} is here"
    )


def test_another_lock_file_and_another_build_are_refused(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.write(tmp_path)
    (checkout / "requirements.txt").write_text("a==2\n", encoding="utf-8")
    monkeypatch.setenv("BUILD_BUILDID", "4712")

    with pytest.raises(ReleaseError, match=r"lock: [0-9a-f]{64} passed, .*\n  version: 4711 passed, 4712 is here"):
        release.check(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '"text"', '{"commit": "a", "lock": "b"}'])
def test_an_invalid_release_file_is_refused(checkout: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "release.json").write_text(content, encoding="utf-8")

    with pytest.raises(ReleaseError, match="is not a release"):
        release.check(tmp_path)


def test_a_missing_release_is_reported(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="nothing passed in the environment before"):
        release.check(tmp_path / "none")


def test_outside_of_a_build_there_is_no_release(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BUILD_BUILDID")

    with pytest.raises(ReleaseError, match="BUILD_BUILDID is not set"):
        release.write(tmp_path / "artifact")

    assert not (tmp_path / "artifact").exists()


def test_outside_of_a_checkout_there_is_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Any
) -> None:
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    with pytest.raises(ReleaseError, match="is no git checkout"):
        release.current()
