"""The cloud behind service connections: a build's needs, and the default for builds without a cloud.

An organisation's file names a factory. The runner knows no cloud itself: each factory has its own sign-in, and
`pipeline_runner.issuer` and `pipeline_runner.az` help factories whose connections use workload identity federation.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from pipeline_runner.errors import RunnerError
from pipeline_runner.organisation import Organisation
from pipeline_runner.variables import Groups


class Cloud(Protocol):
    """A cloud as one build sees it."""

    def prepare(self, checkout: Path) -> Groups:
        """Create the pipelines' resources; return variables that only the cloud knows, by variable group.

        A value in the organisation's file wins over one of the cloud. Raises RunnerError.
        """

    def shell(self) -> Mapping[str, str]:
        """Return the environment of every job's processes, without the player's own sign-in."""

    def connect(self, connection: str, folder: Path) -> Mapping[str, str]:
        """Sign in as a service connection; return the variables that AzureCLI@2 passes to a script.

        `folder` outlives the job. The runner calls again to renew a session. Raises RunnerError for an unknown name.
        """


CloudFactory = Callable[[Organisation], AbstractContextManager[Cloud]]
"""Opens a cloud for one build. Raises RunnerError when this process's environment leads to none."""


class NoCloud:
    """Serves builds whose steps use no service connection; jobs get this process's environment."""

    def prepare(self, checkout: Path) -> Groups:
        """Return no variables."""
        return {}

    def shell(self) -> Mapping[str, str]:
        """Return this process's environment."""
        return dict(os.environ)

    def connect(self, connection: str, folder: Path) -> Mapping[str, str]:
        """Refuse."""
        raise RunnerError(
            f"There is no service connection {connection!r}: name the cloud's factory in a file for --organisation."
        )


def open_cloud(organisation: Organisation) -> AbstractContextManager[Cloud]:
    """Open the cloud that an organisation names. Raises RunnerError when its factory cannot be imported."""
    if organisation.cloud is None:
        return _no_cloud()
    module, _, name = organisation.cloud.factory.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # an installed command has its own folder there instead
    try:
        factory: CloudFactory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise RunnerError(f"cloud.factory {organisation.cloud.factory} cannot be imported: {error}") from error
    return factory(organisation)


@contextmanager
def _no_cloud() -> Iterator[Cloud]:
    yield NoCloud()
