"""Commands of `pulumi install` for a Python program, in their order."""

from __future__ import annotations

import sys
from pathlib import Path

from localcloud.engine.language_host.options import PythonOptions


def install_steps(options: PythonOptions, program: Path) -> list[list[str]]:
    """Make the environment that the options name if it is missing, then install the program's requirements."""
    if options.toolchain == "poetry":
        return [["poetry", "install", "--no-ansi"]]
    if options.toolchain == "uv" and (program / "pyproject.toml").exists():
        return [["uv", "sync"]]
    steps: list[list[str]] = []
    python = sys.executable
    if options.virtualenv is not None:
        python = str(options.virtualenv / "bin" / "python")
        if not Path(python).exists():
            steps.append([sys.executable, "-m", "venv", str(options.virtualenv)])
    requirements = program / "requirements.txt"
    if requirements.exists():
        steps.append([python, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)])
    return steps
