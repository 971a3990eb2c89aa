"""`make up` looks for changes in every file of the checkout that the Pulumi program and its policies read."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

from declarations.training_pipelines import all_pipelines
from infra.stack_file import ROOT

_READ = """
import json, os, sys
opened = set()
sys.addaudithook(lambda event, words: opened.add(os.path.abspath(os.fsdecode(words[0])))
                 if event == "open" and isinstance(words[0], (str, bytes)) else None)
from tests.unit.infra.recorder import deploy_stack
import policy.pack
deploy_stack("local")
print(json.dumps(sorted(opened)))
"""


def _paths() -> list[str]:
    """Return the patterns that the Makefile's READS names."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ").replace("$$STACK", "local")
    command = re.search(r"^READS = (.*)$", text, re.MULTILINE)
    assert command
    return shlex.split(re.split(r"\s--paths\s|\s--programs\s", command[1])[1])


def test_every_file_that_the_program_reads_is_compared() -> None:
    completed = subprocess.run([sys.executable, "-c", _READ], cwd=ROOT, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    opened = {
        name.removeprefix(f"{ROOT}/").replace("__pycache__/", "")
        for name in json.loads(completed.stdout)
        if name.startswith(f"{ROOT}/") and not name.startswith((f"{ROOT}/.venv", f"{ROOT}/tests", f"{ROOT}/packages"))
    }
    compared = [path for pattern in _paths() for path in ROOT.glob(pattern)]

    missing = {name for name in opened if not any((ROOT / name).is_relative_to(path) for path in compared)}

    assert any(name.startswith("infra/") for name in opened) and "Pulumi.local.yaml" in opened
    assert {f"mlops/pipelines/{name}/pipeline.yml" for name in all_pipelines()} <= opened
    assert missing == set()
