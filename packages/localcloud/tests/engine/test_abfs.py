"""The ABFS driver's jar is installed only if it equals the committed list."""

from __future__ import annotations

from pathlib import Path

import pytest
from localcloud.core.errors import LocalcloudError
from localcloud.engine.abfs import ensure_jars, installed_jars
from localcloud.engine.progress import Silent
from localcloud.engine.versions import HADOOP_AZURE


def java_that(home: Path, script: str) -> Path:
    """Return a JAVA_HOME whose `java` is a shell script; its last argument is Ivy's pattern for its downloads."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\nfor pattern do :; done\nfolder=${{pattern%/*}}\n{script}\n")
    program.chmod(0o755)
    return home


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    java_home = java_that(tmp_path / "java", f"echo other > $folder/hadoop-azure-{HADOOP_AZURE}.jar")
    with pytest.raises(LocalcloudError, match=rf"hadoop-azure-{HADOOP_AZURE}\.jar has SHA-256 \w{{64}}, not \w{{64}}"):
        ensure_jars(tmp_path / "cache", java_home, Silent())
    assert installed_jars(tmp_path / "cache") is None


def test_a_failing_resolver_is_quoted(tmp_path: Path) -> None:
    java_home = java_that(tmp_path / "java", "echo UNRESOLVED DEPENDENCIES; exit 1")
    with pytest.raises(LocalcloudError, match=r"(?s)ABFS driver .* could not be installed: .*UNRESOLVED DEPENDENCIES"):
        ensure_jars(tmp_path / "cache", java_home, Silent())
