"""The type checker reads the services of pulumi_azure_native that the code imports, and leaves the other 240 out."""

from __future__ import annotations

import re
import tomllib

from infra.stack_file import ROOT

_FOLDERS = ("infra", "bootstrap", "declarations", "policy", "migration", "contract", "tests", "packages")
_IMPORT = re.compile(r"^ *from pulumi_azure_native(?: import (\([^)]*\)|.+)|\.([a-z]+)[. ])", re.MULTILINE)


def test_every_imported_service_has_types() -> None:
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["overrides"]
    (normal,) = [override["module"] for override in overrides if override.get("follow_imports") == "normal"]
    read = {module.split(".")[1] for module in normal if module.endswith(".*")}
    imported: set[str] = set()
    for folder in _FOLDERS:
        for file in (ROOT / folder).rglob("*.py"):
            for names, service in _IMPORT.findall(file.read_text(encoding="utf-8")):
                words = [name.split(" as ")[0].strip("() \n") for name in names.split(",")] if names else [service]
                imported |= {word for word in words if word and word != "_utilities"}  # which is no service

    assert imported == read
