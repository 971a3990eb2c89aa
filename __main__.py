"""The Pulumi program: settings, platform, outputs."""

from __future__ import annotations

import pulumi
import pulumi.runtime

from infra.early_start import start_provider
from infra.quick_imports import start_fast

start_fast()


def main() -> None:
    """Declare the stack's resources and export its outputs."""
    from infra.configuration import SettingsError, read_settings

    try:
        settings = read_settings(pulumi.runtime.get_config_env(), pulumi.get_project(), pulumi.get_stack())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    start_provider()  # not before: the engine keeps a provider in the state, and wrong settings leave nothing there
    from infra.platform import Platform  # takes a while: wrong settings are reported before it

    for name, value in Platform("platform", settings).outputs.items():
        pulumi.export(name, value)


main()
