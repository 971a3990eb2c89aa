"""Build tools of tools/venv.sh: they are locked, as the packages are."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_SCRIPT = (ROOT / "tools/venv.sh").read_text(encoding="utf-8")


def test_source_archives_are_built_with_the_setuptools_of_the_lock(tmp_path: Path) -> None:
    (awk,) = re.findall(r"^(awk '/\^setuptools==.+)$", _SCRIPT, re.MULTILINE)
    lines = tmp_path / "build-requirements.txt"

    subprocess.run(["sh", "-euc", awk], cwd=ROOT, env={**os.environ, "build_lines": str(lines)}, check=True, timeout=30)

    requirement, *hashes = lines.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"setuptools==[0-9.]+ \\", requirement)
    assert hashes and all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
    (sync,) = re.findall(r"^\S+/uv pip sync .+$", _SCRIPT, re.MULTILINE)
    assert "--require-hashes" in sync and '--build-constraints "$build_lines"' in sync
