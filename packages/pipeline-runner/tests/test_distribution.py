"""pipeline-runner installed from its wheel, without this repository, plays the pipelines of another repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from pipeline_runner.workspace import git

PACKAGE = Path(__file__).resolve().parents[1]
_LOCK = PACKAGE.parents[1] / "requirements.txt"
_UV = Path(sys.executable).with_name("uv")
_FILES = {
    "azure-pipelines.yml": """
        parameters:
          - {name: broken, type: boolean, default: false}
        variables:
          greeting: hello
        stages:
          - template: templates/stage.yml
            parameters: {name: build, broken: "${{ parameters.broken }}"}
          - template: templates/stage.yml
            parameters: {name: deploy, source: build, environment: test}
          - stage: nightly
            dependsOn: []
            condition: eq(variables['Build.Reason'], 'Schedule')
            jobs: [{job: night, steps: [{bash: echo good night}]}]
        """,
    "templates/stage.yml": """
        parameters:
          - {name: name, type: string}
          - {name: broken, type: boolean, default: false}
          - {name: source, type: string, default: ''}
          - {name: environment, type: string, default: ''}
        stages:
          - stage: ${{ parameters.name }}
            jobs:
              - ${{ if eq(parameters.environment, '') }}:
                  - job: make
                    steps:
                      - bash: echo "$(greeting) of $(Build.Repository.Name)" | tee product.txt
                      - ${{ if parameters.broken }}:
                          - bash: exit 7
                            displayName: Break
                      - {publish: product.txt, artifact: product}
              - ${{ else }}:
                  - deployment: make
                    environment: ${{ parameters.environment }}
                    strategy:
                      runOnce:
                        deploy:
                          steps:
                            - {download: current, artifact: product}
                            - bash: sed s/^/deployed/ "$(Pipeline.Workspace)/product/product.txt"
        """,
    "connected.yml": """
        variables: [{group: secrets-of-the-team}]
        steps:
          - task: AzureCLI@2
            displayName: Sign in
            inputs:
              azureSubscription: the team
              scriptType: bash
              scriptLocation: inlineScript
              addSpnToEnvironment: true
              inlineScript: echo "$servicePrincipalId of $(REGION), $(OWNER)"
        """,
    "signing_in.yml": """
        steps:
          - task: AzureCLI@2
            displayName: Sign in
            inputs:
              azureSubscription: the team
              scriptType: bash
              scriptLocation: inlineScript
              inlineScript: az account show
        """,
    "organisation.yml": """
        name: team
        groups:
          secrets-of-the-team: {OWNER: us}
        cloud: {factory: "machinery.cloud:open_cloud", settings: {region: north}}
        """,
    "machinery/cloud.py": """
        from contextlib import contextmanager

        class Cloud:
            def __init__(self, region):
                self.region = region

            def prepare(self, checkout):
                return {"secrets-of-the-team": {"REGION": self.region, "OWNER": "the cloud"}}

            def shell(self):
                return {"PATH": "/usr/bin:/bin"}

            def connect(self, connection, folder):
                return {"servicePrincipalId": f"id of {connection}"}

        @contextmanager
        def open_cloud(organisation):
            yield Cloud(organisation.cloud.settings["region"])
        """,
}


@dataclass(frozen=True)
class Installed:
    """An environment with nothing but the wheel and its dependencies, and a home directory of its own."""

    folder: Path

    def run(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        home = self.folder / "home directory"
        environment = {
            "HOME": str(home), "PATH": os.pathsep.join([str(self.folder / "venv" / "bin"), "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
        }  # fmt: skip
        return subprocess.run(
            words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    (folder / "home directory").mkdir()
    _uv("build", "--wheel", "--out-dir", str(folder), str(PACKAGE))
    _uv("venv", "--python", sys.executable, str(folder / "venv"))
    (wheel,) = folder.glob("*.whl")
    # The locked versions are in uv's cache already; the ranges allow others.
    pins = [line.removesuffix("\\") for line in _LOCK.read_text().splitlines() if re.match(r"[\w.-]+==", line)]
    (folder / "constraints.txt").write_text("\n".join(pins))
    python = str(folder / "venv" / "bin" / "python")
    _uv("pip", "install", "--python", python, "--constraints", str(folder / "constraints.txt"), str(wheel))
    return Installed(folder)


def _uv(*words: str) -> None:
    completed = subprocess.run([_UV, *words], capture_output=True, text=True, check=False, timeout=600)
    assert completed.returncode == 0, completed.stderr


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Return a small repository of another team, with everything committed."""
    repository = tmp_path / "foreign"
    for name, text in _FILES.items():
        file = repository / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    git("init", "--quiet", cwd=repository)
    git("add", ".", cwd=repository)
    git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "first", cwd=repository)
    return repository


def test_this_repository_is_not_on_its_path(installed: Installed, tmp_path: Path) -> None:
    code = "import pipeline_runner, sys; print(pipeline_runner.__file__, *sys.path, sep='\\n')"
    places = installed.run("python", "-c", code, cwd=tmp_path).stdout

    assert str(PACKAGE.parents[1]) not in places
    assert "site-packages/pipeline_runner/__init__.py" in places.splitlines()[0]


def test_another_repository_s_pipeline_is_played_from_stage_to_stage(installed: Installed, foreign: Path) -> None:
    played = installed.run("pipeline-runner", "play", "azure-pipelines.yml", cwd=foreign)

    assert played.returncode == 0, played.stdout
    assert "      hello of foreign\n" in played.stdout
    assert "      deployedhello of foreign\n" in played.stdout, "an artifact goes from the first stage to the second"
    assert re.search(r"nightly .*Skipped.*condition eq\(variables", played.stdout)
    assert "good night" not in played.stdout
    builds = installed.folder / "home directory" / ".local" / "state" / "pipeline-runner"
    (log,) = builds.glob("foreign-*/1/logs/build.make.01.log")
    assert log.read_text(encoding="utf-8") == "hello of foreign\n"
    assert not (foreign / "product.txt").exists(), "the working tree takes no part"


def test_a_failing_step_fails_its_stage_and_skips_the_next(installed: Installed, foreign: Path) -> None:
    played = installed.run("pipeline-runner", "play", "azure-pipelines.yml", "--parameter", "broken=true", cwd=foreign)

    assert played.returncode == 1
    assert re.search(r"Break .*Failed.*exit code 7", played.stdout), played.stdout
    assert re.search(r"build .*Failed", played.stdout)
    assert re.search(r"deploy .*Skipped.*condition succeeded\(\)", played.stdout)
    assert "deployedhello" not in played.stdout


def test_a_schedule_meets_the_condition(installed: Installed, foreign: Path) -> None:
    played = installed.run("pipeline-runner", "play", "--reason", "Schedule", "--stage", "nightly", cwd=foreign)

    assert "      good night\n" in played.stdout


def test_a_service_connection_without_a_cloud_fails_its_step_by_name(installed: Installed, foreign: Path) -> None:
    played = installed.run("pipeline-runner", "play", "signing_in.yml", cwd=foreign)

    assert played.returncode == 1
    assert "There is no service connection 'the team': name the cloud's factory" in played.stdout


def test_an_organisation_s_file_provides_groups_and_the_repository_s_own_cloud(
    installed: Installed, foreign: Path
) -> None:
    words = ("pipeline-runner", "play", "connected.yml")
    without = installed.run(*words, cwd=foreign)
    assert without.returncode == 1
    assert "Variable group secrets-of-the-team could not be found" in without.stdout

    played = installed.run(*words, "--organisation", "organisation.yml", cwd=foreign)

    assert played.returncode == 0, played.stdout
    assert "      id of the team of north, us\n" in played.stdout, "a value of the file wins over one of the cloud"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: [a]\ncolour: red\n", "groups: Input should be a valid dictionary; colour: Extra inputs"),
        ("environments: {e: {timeout: soon}}\n", "environments.e.timeout: Input should be a valid integer"),
        ("cloud: {factory: nowhere.to.find:open_cloud}\n", "cannot be imported: No module named 'nowhere'"),
        ("cloud: {factory: 'machinery.cloud:open'}\n", "has no attribute 'open'"),
        ("cloud: {factory: somewhere}\n", "cloud.factory: String should match pattern"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_a_wrong_organisation_s_file_is_refused_by_path(
    installed: Installed, foreign: Path, text: str, message: str
) -> None:
    (foreign / "wrong.yml").write_text(text, encoding="utf-8")

    played = installed.run("pipeline-runner", "play", "--organisation", "wrong.yml", cwd=foreign)

    assert played.returncode == 1
    assert message in played.stdout
    assert "Traceback" not in played.stdout


def test_check_names_missing_programs(installed: Installed, foreign: Path) -> None:
    checked = installed.run("pipeline-runner", "check", cwd=foreign)

    assert checked.returncode == 1
    assert "`check` needs check_jsonschema: install pipeline-runner with its extra `check`." in checked.stdout


def test_check_reports_the_mistakes_of_another_repository(foreign: Path) -> None:
    runner = str(Path(sys.executable).with_name("pipeline-runner"))
    words = (runner, "check", "azure-pipelines.yml")
    right = subprocess.run(words, cwd=foreign, capture_output=True, text=True, check=False, timeout=120)
    assert (right.returncode, right.stderr) == (0, "")

    template = foreign / "templates" / "stage.yml"
    template.write_text(template.read_text().replace("- bash: exit 7", "- bash: exit $CODE"), encoding="utf-8")
    wrong = subprocess.run(
        (*words, "--parameter", "broken=true"), cwd=foreign, capture_output=True, text=True, check=False, timeout=120
    )
    assert wrong.returncode == 1
    assert "azure-pipelines.yml (IndividualCI): -:1:6: note: Double quote to prevent globbing" in wrong.stderr


@pytest.mark.parametrize("name", [b"dataops", b"localcloud"])
def test_no_name_of_this_repository_s_product_is_in_it(installed: Installed, name: bytes) -> None:
    (package,) = (installed.folder / "venv" / "lib").glob("python*/site-packages/pipeline_runner")
    files = [file for file in package.parent.glob("pipeline_runner*/**/*") if file.is_file() and file.suffix != ".pyc"]

    assert package / "cloud.py" in files
    assert [file for file in files if name in file.read_bytes().lower()] == []
