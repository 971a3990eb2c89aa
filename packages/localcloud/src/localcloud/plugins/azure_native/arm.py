"""ARM requests through azure-core's pipeline: retries with Retry-After, sign-in, long-running operations."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.plugins.errors import PluginError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

_LONGEST_WAIT_SECONDS = 30
_POLL_SECONDS = 1.0
_UNDER_WAY = frozenset({"accepted", "creating", "updating", "provisioning", "resolvingdns", "deleting"})
_RETRIED_CONFLICTS = frozenset({"AnotherOperationInProgress", "StorageAccountOperationInProgress"})
_DONE = frozenset({"succeeded", "failed", "canceled", "cancelled"})


class ArmError(PluginError):
    """Refusal of ARM, worded as the vendor's provider does."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f'Status={status} Code="{code}" Message="{message}"')
        self.status, self.code = status, code


class Cancelled(PluginError):
    """The engine requested a stop."""


class Arm:
    """Blocking; used from worker threads.

    `endpoint` is such as https://management.azure.com; `audience` is of its tokens.
    """

    def __init__(self, endpoint: str, credential: TokenCredential, audience: str | None = None) -> None:
        from azure.mgmt.core import ARMPipelineClient
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        self._endpoint = endpoint.rstrip("/")
        scope = f"{audience or self._endpoint}/.default"
        self._client: Any = ARMPipelineClient(
            base_url=self._endpoint,
            per_call_policies=[],
            policies=None,
            config=_configuration(ARMChallengeAuthenticationPolicy(credential, scope), _retries()),
        )
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make waiting requests end."""
        self._stopped.set()

    def get(self, path: str, version: str) -> dict[str, Any] | None:
        """Return the resource, None when it does not exist. Raises ArmError."""
        response = self._send("GET", f"{self._endpoint}{path}", {"api-version": version})
        if response.status_code == 404:
            return None
        return _object(_checked(response))

    def settled(self, path: str, version: str) -> dict[str, Any] | None:
        """Like `get`, once no operation on it is active."""
        while True:
            resource = self.get(path, version)
            state = str(((resource or {}).get("properties") or {}).get("provisioningState", ""))
            if state.lower() not in _UNDER_WAY:
                return resource
            self._wait(_POLL_SECONDS)

    def put(self, path: str, version: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create or update, wait until done; the resource as GET shows it then. Raises ArmError."""
        response = _checked(self._send("PUT", f"{self._endpoint}{path}", {"api-version": version}, body))
        answer = _object(response)
        if self._finish(response) or not answer:
            answer = self.get(path, version) or answer
        return answer

    def delete(self, path: str, version: str, query: Mapping[str, str]) -> None:
        """Delete and wait. A missing resource is no error. Raises ArmError."""
        response = self._send("DELETE", f"{self._endpoint}{path}", {"api-version": version, **query})
        if response.status_code in {404, 204}:
            return
        self._finish(_checked(response))

    def post(self, path: str, version: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return _object(_checked(self._send("POST", f"{self._endpoint}{path}", {"api-version": version}, body)))

    def _finish(self, response: HttpResponse) -> bool:
        """Follow a long-running operation to its end; return False without one."""
        headers = response.headers
        status_url, location = headers.get("Azure-AsyncOperation"), headers.get("Location")
        if response.status_code not in {200, 201, 202} or not (status_url or location):
            return False
        while True:
            # The first poll is immediate: many operations are done by then, and a server that is not has a
            # Retry-After.
            answer = self._send("GET", str(status_url or location), {})
            if status_url:
                body = _object(_checked(answer))
                state = str(body.get("status", "")).lower()
                if state in _DONE:
                    if state != "succeeded":
                        error = body.get("error") or {}
                        raise ArmError(
                            200, str(error.get("code", state.title())), str(error.get("message", "operation failed"))
                        )
                    return True
            elif answer.status_code != 202:
                if answer.status_code != 404:  # a deleted resource's operation may go with it
                    _checked(answer)
                return True
            self._wait(min(float(answer.headers.get("Retry-After", _POLL_SECONDS)), _LONGEST_WAIT_SECONDS))

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Cancelled("cancelled while the operation was under way; `pulumi refresh` shows its outcome")

    def _send(
        self, method: str, url: str, query: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
        from azure.core.rest import HttpRequest

        if self._stopped.is_set():
            raise Cancelled("cancelled")
        request = HttpRequest(method, url, params=dict(query), json=body)
        try:
            response: HttpResponse = self._client.send_request(request)
        except ClientAuthenticationError as error:
            raise PluginError(f"cannot sign in to Azure: {error.message}") from error
        except (ServiceRequestError, ServiceResponseError) as error:
            raise PluginError(f"cannot reach {url.split('?')[0]}: {error.message}") from error
        return response


def _retries() -> Any:
    """Azure-core's retries, and the vendor's provider's repetitions of conflicts: direct answers with these codes.

    Failures inside a long-running operation are not repeated (pulumi/pulumi-azure-native
    provider/pkg/azure/client_azcore.go, shouldRetryConflict; pulls 3653 and 4497 have the codes).
    """
    from azure.core.pipeline.policies import RetryPolicy

    class Retries(RetryPolicy[Any, Any]):
        def is_retry(self, settings: Any, response: Any) -> bool:
            if response.http_response.status_code != 409:
                return super().is_retry(settings, response)
            return bool(settings["total"]) and _error(response.http_response).get("code") in _RETRIED_CONFLICTS

    return Retries(retry_total=8, retry_backoff_max=30)


def _configuration(authentication: Any, retry: Any) -> Any:
    from azure.core.configuration import Configuration
    from azure.core.pipeline.policies import HeadersPolicy, NetworkTraceLoggingPolicy, ProxyPolicy, UserAgentPolicy

    config: Any = Configuration()
    config.authentication_policy = authentication
    config.retry_policy = retry
    config.user_agent_policy = UserAgentPolicy("pulumi-azure-native")
    config.headers_policy = HeadersPolicy()
    config.proxy_policy = ProxyPolicy()
    config.logging_policy = NetworkTraceLoggingPolicy()
    return config


def _checked(response: HttpResponse) -> HttpResponse:
    if response.status_code < 400:
        return response
    error = _error(response)
    raise ArmError(
        response.status_code,
        str(error.get("code") or response.reason),
        str(error.get("message") or response.text()[:500]),
    )


def _error(response: HttpResponse) -> dict[str, Any]:
    """ARM's error, empty where the body is none."""
    try:
        error = response.json().get("error", {})
    except (ValueError, AttributeError):
        error = {}
    return error if isinstance(error, dict) else {}


def _object(response: HttpResponse) -> dict[str, Any]:
    if not response.content:
        return {}
    body: dict[str, Any] = response.json()
    return body
