"""Environments are built once, whole or not at all; a failed build names its reason."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from localcloud.engine import python_environments

PYTHON = Path(sys.executable)


@pytest.fixture
def greeting(tmp_path: Path) -> str:
    """Return the requirements of one package that was never in an index, from a wheel on this disk."""
    wheel = tmp_path / "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("greeting.py", "TEXT = 'hello'\n")
        archive.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr("greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("greeting-1.0.dist-info/RECORD", "")
    return f"{wheel}\n"


def output(home: Path, code: str) -> str:
    completed = subprocess.run([home / "bin" / "python", "-c", code], capture_output=True, text=True, check=False)
    return (completed.stdout + completed.stderr).strip()


def ensure(tmp_path: Path, requirements: str, log: str = "log.txt") -> Path:
    return python_environments.ensure(tmp_path / "cache", "training", PYTHON, requirements, tmp_path / log)


def test_an_environment_has_its_packages_and_no_other(tmp_path: Path, greeting: str) -> None:
    home = ensure(tmp_path, greeting)

    assert output(home, "import greeting; print(greeting.TEXT)") == "hello"
    assert "No module named 'starlette'" in output(home, "import starlette")
    assert "+ greeting==1.0" in (tmp_path / "log.txt").read_text()


def test_an_environment_is_built_once_for_simultaneous_users(tmp_path: Path, greeting: str) -> None:
    with ThreadPoolExecutor() as pool:
        homes = set(pool.map(lambda number: ensure(tmp_path, greeting, f"{number}.txt"), range(4)))

    logs = [(tmp_path / f"{number}.txt") for number in range(4)]
    assert len(homes) == 1
    assert sum(log.exists() and "is built" in log.read_text() for log in logs) == 1


def test_a_package_that_cannot_be_installed_fails_with_uv_s_own_lines_and_leaves_nothing(tmp_path: Path) -> None:
    missing = tmp_path / "nothing-1.0-py3-none-any.whl"

    with pytest.raises(python_environments.BuildError, match="'training' cannot be built") as caught:
        ensure(tmp_path, f"{missing}\n")

    assert str(missing) in caught.value.log
    assert caught.value.log in (tmp_path / "log.txt").read_text()
    assert python_environments.find(tmp_path / "cache", PYTHON, f"{missing}\n") is None
    assert not [entry for entry in (tmp_path / "cache" / "environments").iterdir() if entry.is_dir()]


def test_an_environment_of_a_killed_build_is_built_again(tmp_path: Path, greeting: str) -> None:
    home = ensure(tmp_path, greeting)
    (home / "built").unlink()
    (home / "half").touch()

    assert ensure(tmp_path, greeting) == home
    assert not (home / "half").exists()


def test_an_environment_into_which_a_job_installed_something_is_built_again(tmp_path: Path, greeting: str) -> None:
    home = ensure(tmp_path, greeting)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "other.py").touch()
    (site / "other-2.0.dist-info").mkdir()

    ensure(tmp_path, greeting)

    assert not (site / "other.py").exists()
    assert output(home, "import greeting; print(greeting.TEXT)") == "hello"


def test_environments_unused_for_long_are_deleted_unless_in_use(tmp_path: Path, greeting: str) -> None:
    old, recent = ensure(tmp_path, greeting), ensure(tmp_path, f"# another\n{greeting}")
    month_ago = time.time() - 30 * 24 * 3600
    os.utime(old / "built", (month_ago, month_ago))

    assert python_environments.prune(tmp_path / "cache") == [old]
    assert not old.exists()
    assert recent.exists()


def test_simultaneous_prunes_delete_each_environment_once(tmp_path: Path) -> None:
    homes = [tmp_path / "environments" / str(number) for number in range(40)]
    month_ago = time.time() - 30 * 24 * 3600
    for home in homes:
        home.mkdir(parents=True)
        os.utime(home, (month_ago, month_ago))

    with ThreadPoolExecutor() as pool:
        deleted = [home for pruned in pool.map(python_environments.prune, [tmp_path] * 4) for home in pruned]

    assert sorted(deleted) == sorted(homes)
    assert list((tmp_path / "environments").iterdir()) == []


def test_a_use_makes_an_environment_recent(tmp_path: Path, greeting: str) -> None:
    home = ensure(tmp_path, greeting)
    month_ago = time.time() - 30 * 24 * 3600
    os.utime(home / "built", (month_ago, month_ago))

    ensure(tmp_path, greeting)

    assert python_environments.prune(tmp_path / "cache") == []


def test_beyond_eight_the_oldest_are_deleted_if_not_used_within_a_day(tmp_path: Path) -> None:
    homes = [ensure(tmp_path, f"# {number}\n") for number in range(10)]
    for number, home in enumerate(homes):
        used = time.time() - (number + 1) * 12 * 3600
        os.utime(home / "built", (used, used))

    assert set(python_environments.prune(tmp_path / "cache")) == set(homes[8:])
