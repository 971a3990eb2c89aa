"""Commands of the pipelines' make targets, in a build and on a workstation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.environments import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[3]


def _make(*words: str, build: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    # Below another make, make speaks of its folders.
    foreign = ("TF_BUILD", "AMLRUN_ID", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "TIER")
    clean = {name: value for name, value in os.environ.items() if name not in foreign}
    return subprocess.run(
        ["make", *words],
        cwd=ROOT, env=clean | ({"TF_BUILD": "True"} if build else {}) | variables,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


_RECORDER = """\
#!{python} -SI
import json, os, sys
with open(os.environ["RECORD"], "a") as file:
    print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]), file=file)
"""


class Recorded:
    """make's targets with programs in place of Python and Pulumi that write down their arguments and do nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("python", "pulumi", "python-bin"):
            (folder / name).write_text(_RECORDER.format(python=sys.executable), encoding="utf-8")
            (folder / name).chmod(0o755)

    def run(self, *words: str, build: bool = False, **variables: str) -> list[list[str]]:
        """Run a target; return its commands."""
        record = self.folder / "record"
        record.unlink(missing_ok=True)
        own_variables = {
            "RECORD": str(record), "PATH": f"{self.folder}:{os.environ['PATH']}", "PULUMI_BACKEND_URL": "none",
            "PULUMI_HOME": str(self.folder), "LOCALCLOUD_HOME": str(self.folder),
        }  # fmt: skip
        completed = _make(*words, f"PYTHON_BIN={self.folder / 'python-bin'}", build=build, **own_variables, **variables)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]

    def python(self, *words: str, build: bool = False, **variables: str) -> str:
        """Return the only command, which runs a Python module."""
        (command,) = self.run(*words, build=build, **variables)
        assert command[:2] == ["python-bin", "-m"]
        return " ".join(command[2:])


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


@pytest.mark.parametrize("stack", ["staging", "prod", "local"])
def test_no_stack_but_dev_is_destroyed_and_the_refusal_names_it(stack: str) -> None:
    completed = _make("undeploy", f"STACK={stack}", PATH="/usr/bin:/bin")

    assert completed.returncode != 0
    assert f"Only the stack dev can be destroyed this way, not {stack}." in completed.stderr
    assert completed.stdout == ""


@pytest.mark.parametrize("target", ["preview", "deploy"])
@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_every_stack_meets_the_policy_pack(target: str, stack: str) -> None:
    completed = _make("--dry-run", target, f"STACK={stack}")

    assert f"--policy-pack policy --policy-pack-config policy/config/{stack}.json" in completed.stdout


def test_the_pulumi_task_meets_it_too() -> None:
    alternative = (ROOT / "pipelines/alternatives/pulumi-task.yml").read_text(encoding="utf-8")

    assert "--policy-pack policy --policy-pack-config policy/config/${{ parameters.environment }}.json" in alternative


@pytest.mark.parametrize(
    ("words", "workstation", "build"),
    [
        (("publish", "STACK=dev"), "mlops publish --stack dev", "mlops publish --stack dev --azure-devops"),
        (
            ("publish", "STACK=dev", "WITH_DATA=1", "DATA=d.csv"),
            "mlops publish --stack dev --with-data --data d.csv",
            "mlops publish --stack dev --azure-devops --with-data --data d.csv",
        ),
        (
            ("smoke", "STACK=dev", "DATA=d.csv"),
            "mlops run --force --stack dev --data d.csv",
            "mlops run --force --stack dev --data d.csv --azure-devops",
        ),
        (
            ("smoke", "STACK=dev", "DATA=d.csv", "INCOMING=1"),
            "mlops run --force --stack dev --data d.csv --incoming",
            "mlops run --force --stack dev --data d.csv --incoming --azure-devops",
        ),
        (
            ("publish", "STACK=prod", "KEEP_DEFAULT=1"),
            "mlops publish --stack prod --keep-default",
            "mlops publish --stack prod --azure-devops --keep-default",
        ),
        (
            ("smoke", "STACK=dev", "DATA=d.csv", "CODE_VERSION=417"),
            "mlops run --force --stack dev --data d.csv --version 417",
            "mlops run --force --stack dev --data d.csv --version 417 --azure-devops",
        ),
        # A build that has started no run leaves other builds' runs alone.
        (("cancel", "STACK=dev"), "mlops cancel --stack dev", "mlops cancel --stack dev --run "),
        (
            ("promote", "FROM=staging", "TO=prod"),
            "mlops promote --from staging --to prod",
            "mlops promote --from staging --to prod --shared --score-sample",
        ),
        (
            ("promote", "FROM=prod", "TO=prod", "MODEL_VERSION=5"),
            "mlops promote --from prod --to prod --model-version 5",
            "mlops promote --from prod --to prod --model-version 5 --score-sample",
        ),
        (("share", "STACK=staging"), "mlops share --stack staging", "mlops share --stack staging"),
        (("rollback", "STACK=prod"), "mlops rollback --stack prod", "mlops rollback --stack prod"),
    ],
)
def test_a_build_and_a_workstation_use_the_same_verb(
    recorded: Recorded, words: tuple[str, ...], workstation: str, build: str
) -> None:
    assert recorded.python(*words) == workstation
    assert recorded.python(*words, build=True) == build


def test_the_serving_version_is_tried_with_a_sample_and_online(recorded: Recorded) -> None:
    for build in (False, True):
        sample, online = recorded.run("score-sample", "STACK=staging", build=build)
        assert sample[2:] == ["mlops", "score", "--stack", "staging", "--sample"]
        assert online[2:] == ["mlops", "serve", "--stack", "staging", "--if-asked"]


def test_only_a_scheduled_build_of_retraining_defers_to_the_schedule_of_azure_ml(recorded: Recorded) -> None:
    words = ("smoke", "STACK=dev", "INCOMING=1")
    assert "--unless-scheduled" in recorded.python(*words, build=True, BUILD_REASON="Schedule").split()
    for reason in ("IndividualCI", "ResourceTrigger", "Manual"):
        assert "--unless-scheduled" not in recorded.python(*words, build=True, BUILD_REASON=reason).split(), reason
    assert (
        "--unless-scheduled" not in recorded.python("smoke", "STACK=dev", build=True, BUILD_REASON="Schedule").split()
    )


def test_a_build_cancels_the_run_that_its_smoke_step_named(recorded: Recorded) -> None:
    assert (
        recorded.python("cancel", "STACK=dev", build=True, AMLRUN_ID="run-7") == "mlops cancel --stack dev --run run-7"
    )


def test_a_build_reports_the_run_that_its_smoke_step_named(recorded: Recorded) -> None:
    verb = "mlops report --stack dev --output build/report-dev/report.html"

    assert recorded.python("report", "STACK=dev") == verb
    assert recorded.python("report", "STACK=dev", "RUN=run-7") == f"{verb} -- run-7"
    build = recorded.python("report", "STACK=dev", build=True, AMLRUN_ID="run-8")
    assert build == f"{verb} --azure-devops -- run-8"


_TOUCHED = ROOT / "made-by-a-value"
_TOUCH = f"touch {_TOUCHED.name}"
_ODD = [
    "-my data.csv", "März.csv", "#x.csv", "%.csv", "a\\b.csv", "*.csv", "~", "$HOME", "$$", f"a$({_TOUCH}).csv",
    f"a`{_TOUCH}`.csv", f"$(shell {_TOUCH})", f"$(error no){_TOUCH}", f"a;{_TOUCH};.csv", f"a\";{_TOUCH};\".csv",
    f"a';{_TOUCH};'.csv", f"a\n{_TOUCH}\n.csv", f"a&{_TOUCH}&.csv", f"a|{_TOUCH}", f"a>{_TOUCH}",
]  # fmt: skip
_SHORT = [
    ("up", "DATA"), ("up", "STACK"), ("smoke", "DATA"), ("deploy", "STACK"), ("preview", "STACK"), ("drift", "STACK"),
]  # fmt: skip
"""Targets that name a file after a value, or run several programs with it."""
_LONGEST = 120  # names of files are short
_TARGETS = [
    ("up", "DATA"), ("run", "DATA"), ("publish", "DATA"), ("smoke", "DATA"), ("up", "STACK"), ("status", "STACK"),
    ("destroy", "STACK"), ("preview", "STACK"), ("deploy", "STACK"), ("drift", "STACK"), ("publish", "STACK"),
    ("share", "STACK"), ("rollback", "STACK"), ("release", "STACK"), ("comment", "STACK"), ("work-item", "STACK"),
    ("smoke", "CODE_VERSION"), ("cancel", "AMLRUN_ID"), ("promote", "FROM"), ("promote", "TO"),
    ("promote", "MODEL_VERSION"),
    ("release-check", "RELEASE"), ("report", "RUN"), ("verify-azure", "STACK"), ("verify-azure", "NAME"),
]  # fmt: skip


def _joined() -> list[str]:
    """Return the odd values, joined into a few short ones, and values with a meaning of their own."""
    values = [""]
    for value in _ODD:
        if len(values[-1]) + len(value) > _LONGEST:
            values.append("")
        values[-1] += value
    return [*values, "~", "$HOME"]


@pytest.mark.nightly
@pytest.mark.parametrize("from_environment", [False, True], ids=["argument", "environment"])
@pytest.mark.parametrize(("target", "name"), _SHORT)
def test_each_odd_value_reaches_the_program_unchanged(
    recorded: Recorded, target: str, name: str, from_environment: bool
) -> None:
    _assert_unchanged(recorded, target, name, _ODD, from_environment)


@pytest.mark.parametrize("from_environment", [False, True], ids=["argument", "environment"])
@pytest.mark.parametrize(("target", "name"), _TARGETS)
def test_a_value_reaches_the_program_unchanged(
    recorded: Recorded, target: str, name: str, from_environment: bool
) -> None:
    odd = _joined() if (target, name) in _SHORT else ["".join(_ODD)]
    _assert_unchanged(recorded, target, name, odd, from_environment)


def _assert_unchanged(recorded: Recorded, target: str, name: str, values: list[str], from_environment: bool) -> None:
    """Assert that neither make nor a shell expands a value, regardless of its content."""
    others = {"STACK": "dev", "FROM": "staging", "TO": "prod", "WITH_DATA": "1"}
    words = [f"BUILD={recorded.folder}", *(f"{key}={value}" for key, value in others.items() if key != name)]
    for value in values:
        arguments, variables = ([], {name: value}) if from_environment else ([f"{name}={value}"], {})

        commands = recorded.run(target, *words, *arguments, build=target == "cancel", **variables)

        assert any(value in word for command in commands for word in command), (value, commands)
        assert not _TOUCHED.exists(), value


def test_the_outputs_are_readable_while_another_up_updates_the_stack(recorded: Recorded) -> None:
    outputs = recorded.folder / "outputs-local.json"
    outputs.write_text("{}", encoding="utf-8")
    for name, script in (("python", f'[ ! -s "{outputs}" ] || echo "$2" >>"$RECORD.readers"'), ("pulumi", "echo '{}'")):
        (recorded.folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")

    recorded.run("up")

    readers = (recorded.folder / "record.readers").read_text(encoding="utf-8").split()
    assert readers == ["pipelines.up", "localcloud", "mlops"]
    assert [file.name for file in recorded.folder.glob("outputs-*")] == [outputs.name]


@pytest.mark.parametrize(
    ("words", "selection"),
    [
        (("test-nightly", "TIER=upgrade"), "upgrade"),
        (("test-report", "TIER=unit"), "tests/unit"),
        (("test-nightly",), "nightly or upgrade or rehearsal or models"),
        (("faults",), "faults or fault_kind"),
    ],
)
def test_tests_inherit_no_value_of_the_make_that_runs_them(
    words: tuple[str, ...], selection: str, tmp_path: Path
) -> None:
    """An empty DATA was a folder to `make up` of an earlier commit; below another make, make speaks of its folders."""
    program = tmp_path / "python-bin"
    names = ("DATA", "TIER", "STACK", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    statement = f"print(json.dumps([sys.argv[1:], [name for name in {names} if name in os.environ]]))"
    program.write_text(f"#!{sys.executable} -SI\nimport json, os, sys\n{statement}\n", encoding="utf-8")
    program.chmod(0o755)

    completed = _make(*words, f"PYTHON_BIN={program}", DATA="")

    assert completed.returncode == 0, completed.stderr
    arguments, inherited = json.loads(completed.stdout.splitlines()[-1])
    assert selection in arguments
    assert inherited == []


@pytest.mark.parametrize("module", ["pytest", "packages.localcloud.benchmarks"])
def test_verbs_with_a_program_for_developers_install_its_packages(module: str) -> None:
    """`make up` alone installs the packages of users, without pytest."""
    rules = re.findall(r"^([\w-]+):((?: [\w./-]+)*) ##.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    verbs = {verb: needs.split() for verb, needs, recipe in rules if f"-m {module}" in recipe}
    assert verbs
    assert [verb for verb, needs in verbs.items() if ".venv/development" not in needs] == []


def test_a_verb_without_localcloud_prints_only_its_message(tmp_path: Path) -> None:
    completed = _make("run", LOCALCLOUD_HOME=str(tmp_path / "nowhere"))

    assert completed.returncode != 0
    assert "was never started" in completed.stdout + completed.stderr
    assert "Traceback" not in completed.stderr, "nothing runs in a shell that did not get its variables"
