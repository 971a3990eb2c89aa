"""Packages that conda files declare, as far as localcloud installs them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from localcloud.azureml import environment_specs
from localcloud.core.errors import ServiceError
from localcloud.testing.workspace_session import IMAGE


def declared(*dependencies: Any) -> environment_specs.Declaration:
    text = yaml.safe_dump({"name": "x", "channels": ["conda-forge"], "dependencies": list(dependencies)})
    return environment_specs.declaration("env:1", {"image": IMAGE, "condaFile": text})


@pytest.mark.parametrize(
    ("entry", "version"), [("python=3.12", "3.12"), ("python == 3.11", "3.11"), ("python=3.12.*", "3.12")]
)
def test_a_minor_version_of_python_is_accepted(entry: str, version: str) -> None:
    assert declared(entry).python == version


def test_a_patch_release_of_python_is_noted() -> None:
    specification = declared("conda-forge::python=3.12.3")

    assert specification.python == "3.12"
    assert "localcloud has one release: not necessarily 3.12.3" in " ".join(specification.notes)


def test_pip_and_its_like_are_the_same_on_pypi_and_everything_below_pip_stays_unchanged() -> None:
    specification = declared(
        "python=3.12", "pip=24.0", "setuptools>=70", {"pip": ["a==1", "b[c]>=2 ; os_name == 'posix'"]}
    )

    assert specification.requirements == ("pip==24.0.*", "setuptools>=70", "a==1", "b[c]>=2 ; os_name == 'posix'")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("dependencies: [", "is not YAML"), ("dependencies: x", "needs a list"), ("- a", "needs a list"),
     ("dependencies: [python=3.12, {conda: []}]", "{'conda': []} is no dependency"),
     ("dependencies: [python=3.12, {pip: a==1}]", "'pip' has no list of requirements"),
     ("dependencies: [python=3.12, {pip: {a: 1}}]", "'pip' has no list of requirements"),
     ("dependencies: [python=3.12, {pip: [1]}]", "'pip' has no list of requirements")],
)  # fmt: skip
def test_an_invalid_conda_file_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        environment_specs.declaration("env:1", {"image": IMAGE, "condaFile": text})

    assert (refusal.value.status, refusal.value.code) == (400, "UserError")
    assert reason in refusal.value.message


@pytest.mark.parametrize(
    ("line", "local"),
    [
        ("-r more.txt", True), ("--requirement=more.txt", True), ("-e .", True), ("./wheels/a.whl", True),
        ("/wheels/a.whl", True), ("a @ file:///a.whl", True), ("--find-links /wheels", True), ("-c pins.txt", True),
        ("a==1", False), ("a @ https://host/a.whl", False), ("--extra-index-url https://host/simple", False),
        ("git+https://host/a.git@v1", False), ("requests", False), ("# -r more.txt", False),
    ],
)  # fmt: skip
def test_files_of_this_machine_are_no_packages_of_an_index(line: str, local: bool) -> None:
    assert environment_specs.local_file((line,)) == (line if local else None)


def test_an_entry_of_several_lines_hides_no_file_of_this_machine() -> None:
    specification = declared("python=3.12", {"pip": ["a==1\n-r /etc/hostname"]})

    assert specification.requirements == ("a==1", "-r /etc/hostname")
    assert environment_specs.local_file(specification.requirements) == "-r /etc/hostname"


def test_two_versions_of_python_are_refused_by_name() -> None:
    with pytest.raises(ServiceError) as refusal:
        declared("python=3.11", "pip", "python=3.12")

    assert (refusal.value.status, refusal.value.code) == (400, "UserError")
    assert "it names Python more than once ('python=3.11', 'python=3.12')" in refusal.value.message


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--index-url https://user:${FEED_TOKEN}@host/simple", True), ("a @ https://${HOST}/a.whl", True),
        ("a==1  # ${NOT_READ}", False), ("# ${NOT_READ}", False), ("a @ https://host/${lower}/a.whl", False),
        ("a @ https://host/$NO_BRACES/a.whl", False),
    ],
)  # fmt: skip
def test_lines_that_pip_would_fill_from_its_environment_are_listed(line: str, named: bool) -> None:
    assert environment_specs.with_variable(("six", line)) == (line if named else None)


def test_an_earlier_version_gets_skops_once_and_a_warning() -> None:
    bare, own = declared("python=3.12", {"pip": ["a==1"]}), declared("python=3.12", {"pip": ["skops==0.1"]})

    (_, added) = environment_specs.earlier(bare).requirements
    assert added.startswith("skops==")
    assert "on Azure a job that needs it would fail" in environment_specs.earlier(bare).warnings[0]
    assert environment_specs.earlier(own) == own
