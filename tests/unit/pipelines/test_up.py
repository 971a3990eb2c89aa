"""Second runs of the engine: its events have the real engine's form."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.state import pending

ROOT = Path(__file__).resolve().parents[3]
URN = "urn:pulumi:dev::dataopsml::azure-native:machinelearningservices:Workspace::learning-workspace"
STACK = "urn:pulumi:dev::dataopsml::pulumi:pulumi:Stack::dataopsml-dev"
PROPAGATION = (
    'Status=200 Code="BadRequest" Message="User assigned identity doesn\'t have enough permissions. The client '
    "'x' with object id 'y' does not have authorization to perform action 'Microsoft.KeyVault/vaults/read'\""
)
ENGINE = """#!{python}
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
runs = folder / "runs"
number = len(runs.read_text()) if runs.exists() else 0
runs.write_text("." * (number + 1))
events, codes = json.loads((folder / "script.json").read_text())
if "--event-log" in sys.argv and events is not None:
    pathlib.Path(sys.argv[sys.argv.index("--event-log") + 1]).write_text(
        "".join(e if isinstance(e, str) else json.dumps(e) + "\\n" for e in events)
    )
print(ERRORS, end="", file=sys.stderr)
sys.exit(codes[number])
"""
LOCKED = "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete …\n"


def error(message: str, urn: str = URN) -> dict[str, Any]:
    return {"sequence": 1, "diagnosticEvent": {"urn": urn, "severity": "error", "message": f"<{{%reset%}}>{message}"}}


def up(
    folder: Path, events: Sequence[dict[str, Any] | str] | None, *codes: int, mend: str = "", errors: str = ""
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run the command; return it and how often the engine ran."""
    engine = folder / "engine"
    engine.write_text(ENGINE.format(python=sys.executable).replace("ERRORS", repr(errors)))
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    (folder / "mends.py").write_text("import sys\nsys.exit(sys.argv[1:] != ['--stack', 'a b'])\n")
    words = ["--mend", "mends", "--stack", mend] if mend else []
    (folder / "script.json").write_text(json.dumps([events, codes]))
    completed = subprocess.run(
        [sys.executable, "-m", "pipelines.up", *words, "--", str(engine), "up", "--yes"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return completed, len((folder / "runs").read_text())


def test_half_a_line_of_an_engine_that_was_killed_is_left_out(tmp_path: Path) -> None:
    completed, runs = up(tmp_path, [error(PROPAGATION), '{"sequence": 2, "diagnosticEv'], 137, 0)
    assert (completed.returncode, runs) == (0, 2), completed.stderr


def test_a_run_that_succeeds_is_the_only_one(tmp_path: Path) -> None:
    completed, runs = up(tmp_path, [], 0)
    assert (completed.returncode, runs) == (0, 1)


@pytest.mark.parametrize(
    "message",
    [
        PROPAGATION,
        'Status=400 Code="PrincipalNotFound" Message="Principal x does not exist in the directory y."',
        "cannot create external location: The contributor role on the storage account is not set or Managed Identity "
        "does not have READ permissions on url abfss://x@y.dfs.core.windows.net/.",
        "StatusCode=403 AuthorizationPermissionMismatch: This request is not authorized to perform this operation.",
    ],
)
def test_roles_without_effect_lead_to_a_second_run(tmp_path: Path, message: str) -> None:
    events = [error(message), error("failed to run remediation: context canceled"), error("update failed", STACK)]

    completed, runs = up(tmp_path, events, 255, 0)

    assert (completed.returncode, runs) == (0, 2)
    assert "Role assignments had no effect yet" in completed.stdout and "Trying once more." in completed.stdout


def test_a_second_run_is_the_last(tmp_path: Path) -> None:
    completed, runs = up(tmp_path, [error(PROPAGATION)], 255, 255, 0)
    assert (completed.returncode, runs) == (255, 2)


@pytest.mark.parametrize(
    "events",
    [
        [error('Status=403 Code="AuthorizationFailed" Message="The client does not have authorization"')],
        [error(PROPAGATION), error('Status=409 Code="StorageAccountAlreadyTaken" Message="taken"')],
        [error('Status=200 Code="ConcurrentUpdateError" Message="updated by another process"')],
        [error("update failed", STACK)],
    ],
)
def test_other_errors_are_not_retried(tmp_path: Path, events: list[dict[str, Any]]) -> None:
    completed, runs = up(tmp_path, events, 255, 0, mend="a b")
    assert (completed.returncode, runs) == (255, 1)


@pytest.mark.parametrize(("mend", "code", "runs"), [("a b", 0, 2), ("other", 255, 1), ("", 255, 1)])
def test_an_engine_that_did_not_start_runs_again_after_a_mend(tmp_path: Path, mend: str, code: int, runs: int) -> None:
    completed, ran = up(tmp_path, None, 255, 0, mend=mend)
    assert (completed.returncode, ran) == (code, runs)


def test_one_of_two_engines_that_gave_up_for_each_other_succeeds(tmp_path: Path) -> None:
    completed, runs = up(tmp_path, None, 255, 0, errors=LOCKED)
    assert (completed.returncode, runs) == (0, 2)
    assert "Another update has locked the stack. Trying once more in " in completed.stdout
    assert completed.stderr == 2 * LOCKED, "the engine's own words are shown"


def test_a_running_update_keeps_its_lock(tmp_path: Path) -> None:
    completed, runs = up(tmp_path, None, 255, 255, 0, errors=LOCKED)
    assert (completed.returncode, runs) == (255, 2)


def test_the_engine_stops_in_order_after_an_interrupt(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(
        f"#!{sys.executable}\nimport pathlib, signal, sys, time\n"
        "try:\n    print('started', flush=True)\n    time.sleep(600)\n"
        "except KeyboardInterrupt:\n    time.sleep(1)\n    print('ended in order', flush=True)\n"
    )
    engine.chmod(0o700)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.up", "--", str(engine), "up"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"

    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    rest, _ = process.communicate(timeout=60)

    assert (process.returncode, rest) == (130, "ended in order\n")


def test_a_destroy_after_a_killed_update_is_a_success(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    warning = {"sequence": 1, "diagnosticEvent": {"severity": "warning", "message": pending.WARNING}}
    engine.write_text(
        f"#!{sys.executable}\nimport json, pathlib, sys\n"
        "words = sys.argv[1:]\n"
        "if words[0] == 'destroy':\n"
        f"    pathlib.Path(words[-1]).write_text({json.dumps(warning)!r} + '\\n')\n"
        "elif words[:2] == ['stack', 'export']:\n"
        "    print(json.dumps({'version': 3, 'deployment': {}}))\n"
    )
    engine.chmod(0o700)

    completed = subprocess.run(
        [sys.executable, "-m", "pipelines.up", "--", str(engine), "destroy", "--stack", "dev", "--yes"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert completed.returncode == 0, completed.stderr
    assert "Removed 0 pending operations of a killed update" in completed.stdout
