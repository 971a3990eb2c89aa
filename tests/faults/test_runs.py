"""Publications and runs on a platform of which something is killed, slow or refuses: the next run is whole."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator

import psutil
import pytest
from localcloud.testing.cloud import Cloud
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from infra.stack_file import ROOT
from tests.faults.platform import INJECTED, Command, Platform
from tests.faults.table import Tries

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
_ACTIVE_RUNS = """
import json, sys
from databricks.sdk import WorkspaceClient
outputs = json.load(open(sys.argv[1]))
client = WorkspaceClient(
    host=outputs["databricks_host"], azure_workspace_resource_id=outputs["databricks_workspace_id"]
)
print("ACTIVE", len(list(client.jobs.list_runs(active_only=True))))
"""
_COPIED = ("contract", "declarations", "mlops", "steps")
_STEPS = ("feature_engineering", "check_data", "train", "evaluate", "register")


@pytest.fixture(scope="module")
def live(own: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Bring a platform up and publish from copies of mlops and its imports, which tests may change."""
    platform = Platform.make(own, tmp_path_factory.mktemp("live") / "it", f"f{secrets.token_hex(3)}")
    for name in _COPIED:
        (platform.project.folder / name).unlink()
        shutil.copytree(ROOT / name, platform.project.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("notebooks", "data", "requirements.txt"):
        (platform.project.folder / name).symlink_to(ROOT / name)
    update = platform.update()
    assert update.wait() == 0, update.text
    published = platform.mlops("publish")
    assert published.wait() == 0, published.text
    yield platform
    platform.destroy()


def _jobs(platform: Platform) -> list[psutil.Process]:
    """Return the processes of jobs, which run in the folders of their runs."""
    runs = f"{platform.cloud.settings.runs.resolve()}/azureml-"
    return [process for process in psutil.process_iter(["cwd"]) if str(process.info["cwd"]).startswith(runs)]


def _drivers(platform: Platform, name: str) -> list[psutil.Process]:
    """Return the Spark drivers' processes of a name, python or java."""
    folder = str(platform.cloud.settings.home / "drivers")
    processes = []
    for process in psutil.process_iter(["name", "cmdline", "cwd"]):
        mine = folder in str(process.info["cwd"]) or folder in str(process.info["cmdline"])
        if mine and str(process.info["name"]).startswith(name):
            processes.append(process)
    return processes


def _kill(platform: Platform, victim: str, run: Command) -> int:
    """Kill; the number of processes that were hit."""
    if victim in ("gateway", "Azurite", "MLflow"):
        platform.kill(victim, run)
        return 1
    hit = _jobs(platform) if victim == "job" else _drivers(platform, "java" if victim == "JVM" else "python")
    for process in hit:
        process.kill()
    return len(hit)


@retry(retry=retry_if_result(lambda count: count != 0), wait=wait_fixed(1), stop=stop_after_delay(60))
def _no_run_is_active(platform: Platform) -> int:
    processes = platform.project.run(
        str(ROOT / ".venv/bin/python"), "-c", _ACTIVE_RUNS, str(platform.outputs), timeout=100
    )
    assert "ACTIVE" in processes.text, processes.text
    return int(processes.text.split("ACTIVE")[1])


@pytest.mark.parametrize(
    ("victim", "step"),
    [
        *(("job", step) for step in _STEPS),
        ("driver", "feature_engineering"), ("JVM", "feature_engineering"),
        ("gateway", "feature_engineering"), ("gateway", "train"),
        ("Azurite", "feature_engineering"), ("Azurite", "train"),
        ("MLflow", "train"), ("MLflow", "register"),
    ],
)  # fmt: skip
def test_a_run_reports_a_lost_part_and_leaves_nothing_running(
    live: Platform, tries: Tries, victim: str, step: str
) -> None:
    run = live.mlops("run", "--force")
    begun = f"step {step} Running"
    if step != _STEPS[0]:  # it may be over sooner than the run is read again
        begun = f"step {_STEPS[_STEPS.index(step) - 1]} Completed"
    assert run.until(lambda text: begun in text), run.text
    hit = _wait_for_victims(live, victim, run)
    assert hit, f"there was no {victim}"
    code = run.wait()
    live.recover()
    # A step may end before its job is found: the next one is hit then.
    failed = any(f"{name}: Failed." in run.text for name in _STEPS[_STEPS.index(step) :])
    reported = code == 0 or failed or (victim == "gateway" and "Error:" in run.text)
    quiet = _no_run_is_active(live) == 0
    tries.add(f"kill of {'a ' if victim.islower() else ''}{victim} during a run", reported and quiet)
    assert reported and quiet, run.text
    assert "Traceback" not in run.text, run.text


@retry(retry=retry_if_result(lambda hit: not hit), wait=wait_fixed(0.05), stop=stop_after_delay(30))
def _wait_for_victims(platform: Platform, victim: str, run: Command) -> int:
    return _kill(platform, victim, run)


def test_the_next_run_after_all_kills_completes(live: Platform, tries: Tries) -> None:
    run = live.mlops("run", "--force")
    code = run.wait()
    tries.add("run after kills", code == 0)
    assert code == 0, run.text


@pytest.mark.parametrize("kind", INJECTED)
def test_a_run_survives_faults_or_names_them(live: Platform, tries: Tries, kind: str) -> None:
    with live.injected(kind):
        run = live.mlops("run", "--force")
        code = run.wait()
    named = code == 0 or ("Failed" in run.text or "Error:" in run.text)
    tries.add(f"injected {kind} during a run", named and "Traceback" not in run.text)
    assert named and "Traceback" not in run.text, run.text
    if code != 0:
        again = live.mlops("run", "--force")
        assert again.wait() == 0, again.text


def test_two_publications_of_the_same_content_both_succeed(live: Platform, tries: Tries) -> None:
    for number in range(6):
        for step in live.project.folder.glob("mlops/**/components/*/src/*.py"):
            with step.open("a", encoding="utf-8") as program:
                program.write(f"# round {number}\n")
        publications = [live.mlops("publish"), live.mlops("publish")]
        codes = [publication.wait() for publication in publications]
        tries.add("two publications at once", codes == [0, 0])
        assert codes == [0, 0], "\n".join(publication.text for publication in publications)
    status = live.mlops("status")
    assert status.wait() == 0 and "Published: version" in status.text, status.text
