"""A rehearsal's cloud refuses a shell that leads to none, before it changes anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline_runner.errors import RunnerError

from pipelines.rehearsal.cloud import check_shell

_NEEDED = (
    "ARM_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "ARM_CLOUD_METADATA_URL", "LOCALCLOUD_HOME",
)  # fmt: skip


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in _NEEDED:
        monkeypatch.setenv(name, "something")
    return monkeypatch


@pytest.mark.parametrize("missing", _NEEDED)
def test_a_shell_without_a_cloud_is_refused(shell: pytest.MonkeyPatch, missing: str) -> None:
    shell.delenv(missing)
    with pytest.raises(RunnerError, match=f'{missing} is not set: a rehearsal runs in a shell with `eval "'):
        check_shell()


def test_a_shell_without_the_engine_is_refused(shell: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shell.setenv("PATH", str(tmp_path))
    with pytest.raises(RunnerError, match="pulumi is not on PATH: `make rehearse` installs it once"):
        check_shell()
