"""Versions of each tool: the least accepted one from PATH, and the installed one otherwise.

Scope: facts only. The versions that are installed are pinned a second time, with hashes, in the files beside this
module: `requirements/*.txt` (wheels), `azurite/package-lock.json`, `pulumi_cli/go.sum` and `abfs.py`.
"""

from __future__ import annotations

from pathlib import Path

ENGINE = Path(__file__).resolve().parent
CHECKOUT = ENGINE.parents[1]

Version = tuple[int, ...]

# The provider plugins and the language host speak the protocol of this engine; older ones lack parts of it.
PULUMI = "3.259.0"
PULUMI_MINIMUM: Version = (3, 259)

# Spark 4.0 supports Java 17 and 21; from 24 on, its use of the security manager fails.
JAVA_MINIMUM: Version = (17,)
JAVA_MAXIMUM: Version = (21,)

# Azurite 3.35 is tested by its makers on the Node releases still maintained.
NODE_MINIMUM: Version = (20,)

HADOOP_AZURE = "3.4.2"

# The runtime of notebooks. Databricks Runtime 17.3 LTS ships Delta Lake 4.0.0 (its release notes).
NOTEBOOK_RUNTIME = "17.3"
DELTA = "4.0.0"

# Distribution on PyPI -> the engine's name of its resource plugin.
PROVIDERS = {"pulumi-azure-native": "azure-native", "pulumi-databricks": "databricks"}


def parse_version(text: str) -> Version:
    """Return the leading numbers of `text`: "v3.259.0-dev" is (3, 259, 0), "go1.26.8" is (1, 26, 8), "" is ()."""
    numbers: list[int] = []
    for part in text.strip().lstrip("vgo").split("."):
        digits = part[: next((i for i, c in enumerate(part) if not c.isdigit()), len(part))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def go_minimum() -> Version:
    """Return the Go release of pulumi_cli/go.mod."""
    for line in (ENGINE / "pulumi_cli" / "go.mod").read_text().splitlines():
        if line.startswith("go "):
            return parse_version(line.removeprefix("go "))
    raise ValueError("pulumi_cli/go.mod has no go line")


def pinned(requirements: str) -> str:
    """Return the version in the first line of requirements/<name>.txt, `distribution==version`."""
    first = (ENGINE / "requirements" / f"{requirements}.txt").read_text().splitlines()[0]
    return first.split("==")[1].split()[0]
