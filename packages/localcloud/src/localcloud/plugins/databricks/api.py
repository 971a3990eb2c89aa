"""REST requests through databricks-sdk's client: its sign-in, its retries, its errors."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.plugins.errors import PluginError

if TYPE_CHECKING:
    from databricks.sdk.core import ApiClient, Config
    from databricks.sdk.errors import NotFound
    from databricks.sdk.errors.base import DatabricksError

    from localcloud.plugins.databricks.sign_in import SignIn

_importing = threading.Lock()
_MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND"})


class Api:
    """Signs in at the first request, so that a provider may be configured before its workspace exists."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings: dict[str, Any] = dict(settings)
        self._client: ApiClient | None = None
        self._lock = threading.Lock()

    def call(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        """`body` and `query` as keyword arguments. Raises PluginError with the service's code and message."""
        sdk = _sdk()
        try:
            answer = self._connected().do(method, path, **parts)
        except sdk.error as error:
            raise PluginError(f"{error.error_code or type(error).__name__}: {error}") from error
        except (ValueError, OSError) as error:
            raise PluginError(
                f"cannot reach Databricks at {self._settings.get('host') or 'no host'}: {error}"
            ) from error
        return answer if isinstance(answer, dict) else {}

    def find(self, method: str, path: str, **parts: Any) -> dict[str, Any] | None:
        """Like `call`, with None for a missing resource."""
        sdk = _sdk()
        try:
            answer = self._connected().do(method, path, **parts)
        except sdk.not_found:
            return None
        except sdk.error as error:
            if error.error_code in _MISSING:
                return None
            raise PluginError(f"{error.error_code or type(error).__name__}: {error}") from error
        except (ValueError, OSError) as error:
            raise PluginError(
                f"cannot reach Databricks at {self._settings.get('host') or 'no host'}: {error}"
            ) from error
        return answer if isinstance(answer, dict) else {}

    @property
    def host(self) -> str:
        """The workspace's URL."""
        return str(self._connected()._cfg.host)

    def clusters(self, function: str, method: str, arguments: Mapping[str, Any]) -> str:
        """Return the key that the vendor's client selects. Raises PluginError without one for these arguments."""
        sdk = _sdk()
        try:
            return str(getattr(sdk.clusters(self._connected()), method)(**arguments))
        except (ValueError, sdk.error) as error:
            raise PluginError(f"{function} with {dict(arguments)}: {error}") from error

    def _connected(self) -> ApiClient:
        with self._lock:
            if self._client is None:
                sdk = _sdk()
                config = sdk.config(
                    product="pulumi-databricks", product_version="1.0.0", credentials_strategy=sdk.sign_in(),
                    **self._settings,
                )  # fmt: skip
                self._client = sdk.client(config)
            return self._client


@dataclass(frozen=True)
class _Sdk:
    """Parts of databricks-sdk that the provider uses."""

    client: type[ApiClient]
    config: type[Config]
    error: type[DatabricksError]
    not_found: type[NotFound]
    clusters: Any
    sign_in: type[SignIn]


def _sdk() -> _Sdk:
    """Import the SDK at the first request, since it takes a second, and by one thread.

    The engine sends many requests at once, and Python reports a deadlock when two threads import modules that import
    each other.
    """
    with _importing:
        from databricks.sdk.core import ApiClient, Config
        from databricks.sdk.errors import NotFound
        from databricks.sdk.errors.base import DatabricksError
        from databricks.sdk.mixins.compute import ClustersExt

        from localcloud.plugins.databricks.sign_in import SignIn

        return _Sdk(ApiClient, Config, DatabricksError, NotFound, ClustersExt, SignIn)
