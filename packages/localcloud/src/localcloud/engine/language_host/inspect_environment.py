"""Content of a Python environment as JSON: run as a script in that environment, or imported when it is our own.

python inspect_environment.py plugins        resource plugins of the installed Pulumi SDKs
python inspect_environment.py dependencies   requested distributions, which no other one requires
python inspect_environment.py all            every distribution
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path


def plugins() -> list[dict[str, str]]:
    """Name, version ("v" and semver) and server of each resource plugin, by the SDKs' pulumi-plugin.json files."""
    from importlib.metadata import version as installed_version  # 12 ms, which the host's start need not pay

    plugins: dict[str, dict[str, str]] = {}
    for site in sys.path:
        for file in sorted(Path(site or ".").glob("pulumi_*/pulumi-plugin.json")):
            data = json.loads(file.read_text())
            if not data.get("resource"):
                continue
            package = file.parent.name
            version = data.get("version") or semver(installed_version(package.replace("_", "-")))
            name = data.get("name") or package.removeprefix("pulumi_").replace("_", "-")
            plugins.setdefault(
                name, {"name": name, "version": "v" + version.removeprefix("v"), "server": data.get("server", "")}
            )
    return list(plugins.values())


def distributions(*, transitive: bool) -> list[dict[str, str]]:
    """Name and version of the installed distributions; without `transitive` only ones that no other requires."""
    from importlib.metadata import distributions as all_distributions

    installed = {_normal(distribution.metadata["Name"]): distribution for distribution in all_distributions()}
    required: set[str] = set()
    if not transitive:
        for distribution in installed.values():
            for line in distribution.requires or []:
                if name := re.match(r"[\w.-]+", line):
                    required.add(_normal(name.group()))
    return [
        {"name": distribution.metadata["Name"], "version": distribution.version}
        for name, distribution in sorted(installed.items())
        if name not in required
    ]


def semver(version: str) -> str:
    """Return a Python version as the engine writes it: "1.2" is "1.2.0", "1.2.3a4" is "1.2.3-alpha.4"."""
    match = re.match(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?", version)
    if not match:
        raise ValueError(f"{version!r} is not a version that a plugin can have; expected one such as 3.29.0")
    numbers = [*match.group(1).split("."), "0", "0"][:3]
    stage = {"a": "alpha", "b": "beta", "rc": "rc"}.get(match.group(2) or "")
    return ".".join(numbers) + (f"-{stage}.{match.group(3)}" if stage else "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(selection: str) -> None:
    answer = plugins() if selection == "plugins" else distributions(transitive=selection == "all")
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
