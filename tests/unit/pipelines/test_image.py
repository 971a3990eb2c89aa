"""The CI image: its tag, its pipeline with and without an image in the registry, and the versions in it."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from pipelines.agent import image

ROOT = Path(__file__).resolve().parents[3]
_DOCKERFILE = (ROOT / "pipelines/ci-image/Dockerfile").read_text(encoding="utf-8")
_NAME = f"acrx.azurecr.io/dataopsml/ci:{image.tag()}"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    for name in image.INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_tag_depends_on_the_content_and_not_on_its_place(inputs: Path) -> None:
    assert image.tag(inputs) == image.tag()
    assert re.fullmatch(r"[0-9a-f]{16}", image.tag())


@pytest.mark.parametrize("name", image.INPUTS)
def test_any_input_changes_the_tag(inputs: Path, name: str) -> None:
    with (inputs / name).open("a", encoding="utf-8") as file:
        file.write("\n")

    assert image.tag(inputs) != image.tag()


def test_content_that_moves_from_one_file_to_the_next_changes_the_tag(inputs: Path) -> None:
    first, second = (inputs / name for name in image.INPUTS[:2])
    whole = first.read_bytes()
    first.write_bytes(whole[:-10])
    second.write_bytes(whole[-10:] + second.read_bytes())

    assert image.tag(inputs) != image.tag()


def test_the_inputs_are_the_files_that_the_dockerfile_copies() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", _DOCKERFILE, re.MULTILINE)

    assert {*copied, "pipelines/ci-image/Dockerfile"} == set(image.INPUTS)


def test_the_pipeline_starts_only_when_an_input_changes() -> None:
    pipeline = yaml.safe_load((ROOT / "pipelines/ci-image.yml").read_text(encoding="utf-8"))
    paths = pipeline["trigger"]["paths"]["include"]

    for name in image.INPUTS:
        assert any(fnmatch.fnmatch(name, path) for path in paths), f"{name} starts no build"
    for path in paths:
        assert any(fnmatch.fnmatch(name, path) for name in image.INPUTS), f"{path} is no input"


def test_the_pulumi_cli_has_one_version_everywhere() -> None:
    """The CI image has localcloud's own CLI, so that tests and deployments run the same engine."""
    engine = (ROOT / "packages/localcloud/src/localcloud/engine/versions.py").read_text(encoding="utf-8")
    (tested,) = re.findall(r'^PULUMI = "(\S+)"', engine, re.MULTILINE)
    (in_image,) = re.findall(r"^ARG PULUMI=(\S+)", _DOCKERFILE, re.MULTILINE)
    alternative = yaml.safe_load((ROOT / "pipelines/alternatives/pulumi-task.yml").read_text(encoding="utf-8"))

    assert {in_image, alternative["steps"][0]["inputs"]["versionSpec"]} == {tested}


def test_every_image_is_named_by_its_digest() -> None:
    images = re.findall(r"^FROM (\S+)|^COPY --from=(\S+)", _DOCKERFILE, re.MULTILINE)

    assert images
    for image_name in images:
        assert re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", "".join(image_name)), f"{image_name} is named by its tag"


def test_every_download_of_the_image_is_checked() -> None:
    """A package source's key by its fingerprint, an archive by its checksum."""
    downloads = re.findall(r"(?:curl|wget|ADD) .*?(?:-o|--output) (\S+)", _DOCKERFILE)

    assert sorted(downloads) == ["/tmp/microsoft.asc", "/tmp/pulumi.tar.gz"]
    assert len(downloads) == len(re.findall(r"\b(?:curl -|wget |ADD )", _DOCKERFILE)), "a download goes past the checks"
    assert "gpg --show-keys --with-colons /tmp/microsoft.asc" in _DOCKERFILE
    assert '"$PULUMI_SHA256  /tmp/pulumi.tar.gz" | sha256sum --check --strict' in _DOCKERFILE


@pytest.mark.parametrize(("content", "code"), [(b"release", 0), (b"another", 1)])
def test_pulumi_is_unpacked_only_if_its_checksum_is_right(tmp_path: Path, content: bytes, code: int) -> None:
    (step,) = re.findall(
        r"^RUN (curl -fsSL -o /tmp/pulumi.tar.gz .*?)\n(?=[A-Z])", _DOCKERFILE, re.MULTILINE | re.DOTALL
    )
    (tmp_path / "release").write_bytes(content)
    for name, script in {
        "curl": f'cp {tmp_path}/release "$3"',
        "tar": f"touch {tmp_path}/unpacked",
        "pulumi": "true",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "PULUMI": "1.2.3",
        "PULUMI_SHA256": hashlib.sha256(b"release").hexdigest(),
    }  # fmt: skip

    script = step.replace("/tmp/pulumi.tar.gz", str(tmp_path / "pulumi.tar.gz"))
    completed = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, check=False, timeout=30)

    assert completed.returncode == code
    assert (tmp_path / "unpacked").exists() is (code == 0)


@pytest.mark.parametrize(("fingerprint", "code"), [("BC528686B50D79E339D3721CEB3E94ADBE1229CF", 0), ("0" * 40, 1)])
def test_the_key_of_a_package_source_is_checked_by_its_fingerprint(tmp_path: Path, fingerprint: str, code: int) -> None:
    (check,) = re.findall(r"test \"\$\(gpg .+?\$MICROSOFT_KEY\"", _DOCKERFILE)
    (expected,) = re.findall(r"^ARG MICROSOFT_KEY=(\S+)", _DOCKERFILE, re.MULTILINE)
    gpg = tmp_path / "gpg"
    gpg.write_text(f"#!/bin/sh\necho pub:-:2048:1:EB3E94ADBE1229CF::::\necho fpr:::::::::{fingerprint}:\n")
    gpg.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "MICROSOFT_KEY": expected}

    completed = subprocess.run(["bash", "-euo", "pipefail", "-c", check], env=environment, check=False, timeout=30)

    assert completed.returncode == code


class Docker:
    """A program named docker that writes down its arguments, and a registry with or without the image."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "asked"
        self._folder = folder / "bin"
        self._folder.mkdir()
        program = self._folder / "docker"
        program.write_text(
            dedent(f"""\
            #!/bin/sh
            echo "$*" >> {self._log}
            case "$1" in
                pull) exit "$PULL" ;;
                run) exit "$SCAN" ;;
            esac
            """),
            encoding="utf-8",
        )
        program.chmod(0o755)

    def make(self, target: str, *, there: bool = False, clean: bool = True, branch: str = "") -> tuple[int, list[str]]:
        """Run the target; return its exit code and docker's arguments."""
        self._log.unlink(missing_ok=True)
        environment = os.environ | {
            "PATH": f"{self._folder}:{os.environ['PATH']}", "PULL": "0" if there else "1",
            "SCAN": "0" if clean else "1", "BUILD_SOURCEBRANCH": branch,
        }  # fmt: skip
        completed = subprocess.run(
            ["make", target, "REGISTRY=acrx.azurecr.io"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return completed.returncode, self._log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path)


def test_an_existing_image_is_not_built_again(docker: Docker) -> None:
    assert docker.make("ci-image", there=True) == (0, [f"pull --quiet {_NAME}"])


def test_a_missing_image_is_built_from_the_root(docker: Docker) -> None:
    code, calls = docker.make("ci-image")

    assert code == 0
    assert calls[1:] == [f"build --file pipelines/ci-image/Dockerfile --tag {_NAME} ."]


@pytest.mark.parametrize("clean", [True, False])
def test_the_scan_is_of_this_image_and_stops_the_job_before_the_push(docker: Docker, clean: bool) -> None:
    code, calls = docker.make("ci-image-scan", clean=clean)

    assert (code == 0) is clean
    (scan,) = calls
    assert scan.endswith(f"--exit-code 1 --severity CRITICAL --ignore-unfixed {_NAME}")


@pytest.mark.parametrize(("branch", "moves"), [("refs/heads/main", True), ("refs/heads/topic", False), ("", False)])
def test_only_main_moves_the_name_that_jobs_use(docker: Docker, branch: str, moves: bool) -> None:
    code, calls = docker.make("ci-image-push", branch=branch)

    moved = [f"tag {_NAME} acrx.azurecr.io/dataopsml/ci:main", "push acrx.azurecr.io/dataopsml/ci:main"]
    assert (code, calls) == (0, [f"push {_NAME}", *(moved if moves else [])])


def test_a_missing_registry_is_named() -> None:
    completed = subprocess.run(["make", "ci-image"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert completed.returncode != 0
    assert "REGISTRY is not set: make ci-image REGISTRY=name.azurecr.io" in completed.stderr
