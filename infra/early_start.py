"""Starts the Azure provider's plugin while the program is still being imported.

The engine starts a plugin at the first request for one of its resources, and Pulumi's SDK sends requests when the
program has declared all its resources. A plugin takes a second to start and to sign in, which the import need not wait
for.
"""

from __future__ import annotations

import os
from typing import Any

from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2


def start_provider() -> None:
    """Request the identity, as infra/platform.py will, without waiting: the later request reports an error."""
    if os.environ.get("DATAOPSML_FAST_START") == "0":
        return
    from pulumi_azure_native import _utilities

    # The version and address are the same as in the SDK's own requests, or the engine makes a second provider of it.
    options = _utilities.get_invoke_opts_defaults()
    request = resource_pb2.ResourceInvokeRequest(
        tok="azure-native:authorization:getClientConfig",
        version=options.version or "",
        pluginDownloadURL=options.plugin_download_url or "",
        acceptResources=True,
    )
    monitor: Any = settings.get_monitor()
    monitor.Invoke.future(request)
