"""A localcloud of the benchmark's own, to spare the user's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from localcloud.core.settings import Settings, load_settings
from localcloud.testing.cloud import free_port

from packages.localcloud.benchmarks.shell import ROOT, exported, run


@contextmanager
def own_cloud() -> Iterator[tuple[Settings, dict[str, str]]]:
    """Start one in a folder of its own. Yield its settings and the variables of a shell that uses it."""
    with TemporaryDirectory() as folder:
        place = {"LOCALCLOUD_HOME": str(Path(folder) / "home"), "LOCALCLOUD_PORT": str(free_port())}
        localcloud = (sys.executable, "-m", "localcloud")
        providers = run(sys.executable, "-I", "-S", str(ROOT / "contract" / "resource_providers.py")).strip()
        run(*localcloud, "start", "--register", providers, env=place)
        try:
            env = place | exported(run(*localcloud, "env", env=place))
            home = Path(place["LOCALCLOUD_HOME"]).resolve()
            yield replace(load_settings(), home=home, port=int(place["LOCALCLOUD_PORT"])), env
        finally:
            run(*localcloud, "stop", env=place)
