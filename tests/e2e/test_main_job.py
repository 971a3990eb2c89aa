"""The way from nothing to a registered model and back, by the verbs that a user types, in their order."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
import requests

from tests.e2e.conftest import ROOT, Machine
from tests.e2e.main_job import DATA, data_file, registered_versions

pytestmark = pytest.mark.e2e
SKIPPED = "Nothing that `pulumi up` reads has changed since it last succeeded: skipped."
STEPS = ("feature_engineering", "check_data", "train", "evaluate", "register")


def test_a_killed_up_leaves_a_locked_stack(machine: Machine) -> None:
    """The next test takes it up again."""
    killed = machine.start("make", "up")
    seen = ""
    for line in killed.stdout or ():
        seen += line
        if "StorageAccount" in line and "created" in line:
            break
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert "created" in seen, seen

    locked = machine.in_shell("pulumi", "up", "--stack", "local", "--yes", "--skip-preview")

    assert locked.code != 0
    assert "locked" in locked.text, locked.text


def test_up_continues_after_a_killed_one_to_a_registered_model(machine: Machine) -> None:
    up = machine.make("up", timeout=1500)

    assert up.code == 0, up.text
    assert "Removed the lock of process" in up.text
    assert re.search(r"Removed \d+ pending operations of a killed update", up.text), up.text
    exported = machine.in_shell("pulumi", "stack", "export", "--stack", "local")
    assert "pending_operations" not in exported.text, "none is left"
    for step in STEPS:
        assert re.search(rf"{step}\b.*Completed", up.text), f"the table does not show {step} as Completed:\n{up.text}"
    assert registered_versions(machine) == [1]


def test_up_again_changes_nothing_and_reports_that(machine: Machine) -> None:
    skipped = machine.make("up")

    assert skipped.code == 0, skipped.text
    assert SKIPPED in skipped.text, skipped.text
    assert "Nothing changed since the last run" in skipped.text
    outputs = machine.home / "outputs-local.json"
    kept = json.loads(outputs.read_text())
    assert kept["workspace_name"] in skipped.text, "the run's page is that of the kept outputs"
    outputs.write_text("{")

    again = machine.make("up", "FORCE=1")

    assert again.code == 0, again.text
    assert re.search(r"\d+ unchanged", again.text), again.text
    assert not re.search(r"\d+ (created|updated|replaced|deleted)", again.text), again.text
    assert SKIPPED not in again.text
    assert json.loads(outputs.read_text()) == kept, "an update writes them again"
    assert registered_versions(machine) == [1]


def test_open_signs_a_browser_in_to_the_run_page_and_no_output_holds_a_token(machine: Machine) -> None:
    status = machine.make("status")
    page = re.search(r"Run page: (https://localhost:\S+)", status.text)
    assert page, status.text
    trust = str(machine.home / "tls" / "ca.pem")
    opened = machine.run("make", "open", env={"CI": "", "TF_BUILD": ""})
    link = re.search(r"https://localhost:\S+token=(\S+)", opened.text)
    assert link, opened.text

    with requests.Session() as browser:
        before = browser.get(page[1], verify=trust, timeout=60)
        browser.get(link[0], verify=trust, timeout=60)
        after = browser.get(page[1], verify=trust, timeout=60)

    assert (before.status_code, after.status_code) == (401, 200)
    assert "make open" in before.text
    assert "feature_engineering" in after.text
    tracking_token = machine.shell_environment()["MLFLOW_TRACKING_TOKEN"]
    assert "MLflow:" in status.text and tracking_token not in status.text and "token=" not in status.text


def test_a_failed_update_shows_the_engine_s_own_error(machine: Machine) -> None:
    up = machine.make("up", "POLICY=--policy-pack no/such/pack")

    assert up.code != 0, up.text
    assert "no/such/pack" in up.text, up.text
    assert "Published" not in up.text, "nothing is published on a platform that could not be brought up to date"


def test_nothing_is_left_in_the_machine_s_temporary_folder(machine: Machine) -> None:
    assert [file.name for file in machine.scratch.iterdir()] == []
    status = machine.make("status")
    pid = re.search(r"gateway\D+(\d+)", status.text)
    assert pid, status.text
    gateway = psutil.Process(int(pid[1]))
    used: set[str] = set()
    for process in (gateway, *gateway.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may exit meanwhile, and a zombie has no files
            used |= {file.path for file in process.open_files()}
            used |= {str(region[0]) for region in process.memory_maps()}
    # A JVM uses that folder, regardless of TMPDIR. The checkout may lie there itself.
    own = (machine.home, ROOT)
    left = {Path(file) for file in used if file.startswith("/tmp/")}
    assert {file for file in left if not any(file.is_relative_to(folder) for folder in own)} == set()


def test_state_holds_no_secret_in_the_clear(machine: Machine) -> None:
    exported = machine.in_shell("pulumi", "stack", "export", "--stack", "local")
    assert exported.code == 0, exported.text
    state = json.loads(exported.text[exported.text.index("{") :])
    text = json.dumps(state)

    secret = machine.shell_environment()["AZURE_CLIENT_SECRET"]
    assert secret not in text
    assert not re.search(r"AccountKey=|SharedAccessSignature|\bsig=|eyJ[\w-]{20,}\.eyJ", text), (
        "a key, SAS or token in state"
    )
    for resource in state["deployment"]["resources"]:
        for name, value in (resource.get("outputs") or {}).items():
            if re.search(
                r"(?i)(password|secret|token|primaryKey|sharedKey|connectionString|instrumentationKey)$", name
            ):
                assert not isinstance(value, str) or not value, f"{resource['urn']} keeps {name} in the clear"


def test_the_engine_s_own_verbs_work_in_the_shell(machine: Machine) -> None:
    preview = machine.in_shell("pulumi", "preview", "--stack", "local", "--expect-no-changes")
    assert preview.code == 0, preview.text
    refresh = machine.in_shell(
        "pulumi", "refresh", "--stack", "local", "--yes", "--expect-no-changes", "--skip-preview"
    )
    assert refresh.code == 0, refresh.text
    outputs = machine.in_shell("pulumi", "stack", "output", "--stack", "local", "--json")
    assert outputs.code == 0, outputs.text
    assert json.loads(outputs.text)["workspace_name"].startswith("aml-")


def test_a_file_is_scored_by_the_registered_version(machine: Machine) -> None:
    scored = machine.make("score", f"FILE={DATA.relative_to(ROOT)}")

    assert scored.code == 0, scored.text
    counts = re.search(r"diabetes\.csv: (\d+) rows read, (\d+) scored, (\d+) refused, by version 1 of", scored.text)
    assert counts and int(counts[1]) == int(counts[2]) + int(counts[3]) > 400, scored.text
    assert "scoring/out/diabetes/date=" in scored.text, scored.text


def _with_a_wrong_column() -> str:
    header, *lines = DATA.read_text(encoding="utf-8").splitlines()
    return "\n".join([header.replace(header.split(",")[2], "colour"), *lines]) + "\n"


def test_a_file_without_a_column_is_refused_before_anything_is_run(machine: Machine, tmp_path: Path) -> None:
    name = "odd $(touch made-by-a-name)`touch made-by-a-name`';\""  # shell code, wherever it is not taken as text

    up = machine.make("up", f"DATA={data_file(tmp_path, name, _with_a_wrong_column())}")

    assert up.code != 0
    assert not (ROOT / "made-by-a-name").exists()
    assert "does not have the columns of diabetes: bmi is missing. Its header: age, sex, colour," in up.text, up.text
    assert "feature_engineering" not in up.text


def test_a_missing_data_file_is_named_before_anything_is_run(machine: Machine) -> None:
    up = machine.make("up", "DATA=no/such/file.csv")

    assert up.code != 0
    assert "no/such/file.csv" in up.text
    assert "Traceback" not in up.text


def test_wrong_credentials_are_refused_by_name(machine: Machine) -> None:
    status = machine.in_shell(
        str(ROOT / ".venv/bin/python"),
        "-m",
        "mlops",
        "up",
        "--stack",
        "local",
        env={"AZURE_CLIENT_SECRET": "wrong"},
    )

    assert status.code != 0
    assert "AADSTS7000215" in status.text or "credential" in status.text.lower(), status.text
    assert "Traceback" not in status.text


def test_destroy_leaves_nothing_behind(machine: Machine) -> None:
    destroyed = machine.make("destroy")

    assert destroyed.code == 0, destroyed.text
    exported = machine.in_shell("pulumi", "stack", "export", "--stack", "local")
    state = json.loads(exported.text[exported.text.index("{") :])
    assert not state["deployment"].get("resources"), "resources are left in state"
