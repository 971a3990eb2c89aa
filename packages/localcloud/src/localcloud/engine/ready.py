"""Preparation before every verb: find the tools, or install missing ones, and print their place."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from localcloud.core.settings import Settings
from localcloud.engine.toolchain import Toolchain, find

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_ready(settings: Settings) -> None:
    """Install the missing tools, and print them. Raises LocalcloudError naming the tool that cannot be installed."""
    started = time.monotonic()
    if known := find(settings):
        # The usual case has no other output.
        sys.stdout.write(f"Tools: all there ({_listed(known.origins)})\n")
        return
    from localcloud.engine.provision import ensure  # takes a while to import

    leave_own_proxy(settings)
    print_table(ensure(settings), time.monotonic() - started)


def _listed(origins: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {origin}" for name, origin in origins.items())


def leave_own_proxy(settings: Settings) -> None:
    """Forget the proxy that `localcloud env` set for this shell: installs must work while localcloud is stopped."""
    own = {f"http://{host}:{settings.proxy_port}" for host in ("127.0.0.1", "localhost")}
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        if os.environ.get(name, "").rstrip("/") in own:
            del os.environ[name]


def print_table(toolchain: Toolchain, seconds: float) -> None:
    """Print where each tool comes from and where it is."""
    from rich.console import Console
    from rich.table import Column, Table

    places = {
        "Pulumi CLI": toolchain.pulumi,
        "Python language host": toolchain.pulumi.resolve().parent / "pulumi-language-python",
        "Java": toolchain.java_home,
        "Node.js": toolchain.node,
        "Azurite": toolchain.azurite_blob[-1],
        "ABFS driver": toolchain.abfs_jars[0],
        "Delta Lake": toolchain.delta_jars[0],
        "Python of jobs": toolchain.python,
        "Packages of notebooks": toolchain.notebook_python.parents[1],
    }
    table = Table("tool", "from", Column("where", overflow="fold"), title=f"Tools ready in {seconds:.1f} s")
    for tool, origin in toolchain.origins.items():
        # Vendors' plugins are in no list of ours: the line about them names the file.
        source, _, file = origin.partition(" ") if tool not in places else (origin, "", str(places[tool]))
        table.add_row(tool, source, file)
    Console().print(table)
