"""The machine's own tools that localcloud uses, and tools that it ignores."""

from __future__ import annotations

from pathlib import Path

import pytest
from localcloud.engine import probes
from localcloud.engine.places import OWN_BIN_MARK, machine_path
from localcloud.engine.versions import go_minimum, parse_version, pinned


def script(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a PATH of one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.259.0", (3, 259, 0)),
        ("v3.300.1-alpha.x", (3, 300, 1)),
        ("go1.26.8\n", (1, 26, 8)),
        ("17.0.15", (17, 0, 15)),
        ("21-ea", (21,)),
        ("none", ()),
        ("", ()),
    ],
)
def test_versions_are_read_as_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_the_pins_are_read_from_the_files_beside() -> None:
    assert go_minimum() >= (1, 25)
    assert pinned("java").startswith("21."), "Spark 4.0 runs on Java 17 and 21 only"


def test_an_empty_path_has_no_tools(path: Path) -> None:
    assert probes.find_pulumi() is probes.find_java() is probes.find_node() is probes.find_go() is None
    assert probes.find_npm() is None


@pytest.mark.parametrize(("version", "accepted"), [("v3.259.0", True), ("v3.258.9", False), ("v4.0.0", True)])
def test_an_old_pulumi_is_passed_over(path: Path, version: str, accepted: bool) -> None:
    program = script(path, "pulumi", f"echo {version}")
    pulumi = probes.find_pulumi()
    assert pulumi == (probes.Program(program, version[1:]) if accepted else None)


def test_a_recent_pulumi_further_down_the_path_is_used(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(path, "pulumi", "echo v3.100.0")
    newer = script(tmp_path / "later", "pulumi", "echo v3.400.0")
    monkeypatch.setenv("PATH", f"{path}:{tmp_path}/later")
    assert probes.find_pulumi() == probes.Program(newer, "3.400.0")


def test_our_own_launchers_are_not_the_machine_s(path: Path) -> None:
    script(path, "pulumi", "echo v3.259.0")
    (path / OWN_BIN_MARK).touch()
    assert machine_path() == ""
    assert probes.find_pulumi() is None


def test_a_broken_program_is_passed_over(path: Path) -> None:
    script(path, "pulumi", "echo v3.259.0; exit 1")
    (path / "node").write_bytes(b"\x7fELF not really")
    (path / "node").chmod(0o755)
    assert probes.find_pulumi() is None
    assert probes.find_node() is None


@pytest.mark.parametrize(
    ("version", "accepted"), [("11.0.2", False), ("17.0.1", True), ("21.0.8", True), ("24", False)]
)
def test_only_a_java_supported_by_spark_is_used(path: Path, tmp_path: Path, version: str, accepted: bool) -> None:
    home = tmp_path / "jvm"
    script(home / "bin", "java", "true")
    script(path, "java", f"printf '    java.home = {home}\\n    java.version = {version}\\n' >&2")
    assert probes.find_java() == (probes.Program(home, version) if accepted else None)


def test_java_home_comes_before_path(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("first", "21.0.1"), ("second", "17.0.1")):
        home = tmp_path / name
        script(home / "bin", "java", f"printf 'java.home = {home}\\njava.version = {version}\\n' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "first"))
    monkeypatch.setenv("PATH", f"{tmp_path}/second/bin")
    assert probes.find_java() == probes.Program(tmp_path / "first", "21.0.1")


def test_node_is_known_by_its_real_program(path: Path) -> None:
    script(path, "node", """echo '["22.1.0","/opt/node/bin/node"]'""")
    assert probes.find_node() == probes.Program(Path("/opt/node/bin/node"), "22.1.0")
    script(path, "node", """echo '["18.20.0","/opt/node/bin/node"]'""")
    assert probes.find_node() is None


def test_go_must_be_as_new_as_the_module_requires(path: Path) -> None:
    program = script(path, "go", "echo go1.99.0")
    assert probes.find_go() == probes.Program(program, "1.99.0")
    script(path, "go", "echo go1.20.0")
    assert probes.find_go() is None
