"""The Python interpreter of a program or plugin: the `runtime.options` of its Pulumi.yaml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TOOLCHAINS = ("pip", "uv", "poetry")
_KNOWN = ("virtualenv", "toolchain", "typechecker")


class OptionsError(Exception):
    """An option of Pulumi.yaml cannot be used; the text names it, its value and a valid one."""


@dataclass(frozen=True, kw_only=True)
class PythonOptions:
    """`virtualenv` is absolute, None for the ambient Python; `root` is the folder of the project file."""

    root: Path
    virtualenv: Path | None
    toolchain: str
    typechecker: str | None

    @classmethod
    def parse(cls, root: str, options: Mapping[str, Any]) -> PythonOptions:
        """Check options. Raises OptionsError for an unknown toolchain or type checker, or a value that is no string."""
        for name in _KNOWN:
            if name in options and not isinstance(options[name], str):
                raise OptionsError(f"The option runtime.options.{name} is {options[name]!r}; it must be a string.")
        toolchain = options.get("toolchain", "pip")
        if toolchain not in _TOOLCHAINS:
            raise OptionsError(f"The option runtime.options.toolchain is {toolchain!r}; use pip, uv or poetry.")
        typechecker = options.get("typechecker")
        if typechecker not in (None, "mypy", "pyright"):
            raise OptionsError(f"The option runtime.options.typechecker is {typechecker!r}; use mypy or pyright.")
        folder = options.get("virtualenv") or (".venv" if toolchain == "uv" else None)
        virtualenv = Path(root, folder).absolute() if folder else None
        return cls(root=Path(root), virtualenv=virtualenv, toolchain=toolchain, typechecker=typechecker)

    def python(self) -> Path:
        """Return the interpreter to run, which exists. The default is PULUMI_PYTHON_CMD, else our own interpreter.

        Raises OptionsError when the environment of the options does not exist.
        """
        if self.toolchain == "poetry" and self.virtualenv is None:
            return self._poetry_python()
        if self.virtualenv is not None:
            python = self.virtualenv / "bin" / "python"
            if not python.exists():
                raise OptionsError(
                    f"The 'virtualenv' option in {self.root}'s project file names {self.virtualenv}, which has no "
                    "bin/python. Create it with `pulumi install`, or correct the option."
                )
            return python
        if command := os.environ.get("PULUMI_PYTHON_CMD"):
            named = shutil.which(command)
            if named is None:
                raise OptionsError(f"PULUMI_PYTHON_CMD is {command!r}, which is not a program on PATH.")
            return Path(named)
        return Path(sys.executable)

    def environment(self) -> dict[str, str]:
        """Return the variables of an activated virtual environment, for the program's own children."""
        python = self.python()
        home = python.parent.parent
        if not (home / "pyvenv.cfg").exists():
            return {}
        path = os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)])
        return {"VIRTUAL_ENV": str(home), "PATH": path}

    def _poetry_python(self) -> Path:
        try:
            answer = subprocess.run(
                ["poetry", "env", "info", "--executable"], cwd=self.root, capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise OptionsError(
                f"runtime.options.toolchain is 'poetry', but `poetry env info` failed in {self.root}: {error}."
            ) from error
        return Path(answer.stdout.strip())
