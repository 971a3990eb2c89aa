"""The Pulumi program: settings, platform, outputs."""

from __future__ import annotations

import pulumi
import pulumi.runtime

from infra.configuration import SettingsError, read_settings
from infra.platform import Platform


def main() -> None:
    """Declare the stack's resources and export its outputs."""
    try:
        settings = read_settings(pulumi.runtime.get_config_env(), pulumi.get_project(), pulumi.get_stack())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    for name, value in Platform("platform", settings).outputs.items():
        pulumi.export(name, value)


main()
