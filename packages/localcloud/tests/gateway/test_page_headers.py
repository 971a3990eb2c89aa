"""Pages run no scripts of others, and a browser takes them for nothing but pages."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from localcloud.gateway.app import Gateway
from localcloud.gateway.faults import Faults
from localcloud.gateway.hosts import Service
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router


async def _page(request: Request) -> Response:
    return HTMLResponse("<p>text</p>")


async def _data(request: Request) -> Response:
    return JSONResponse({})


@pytest.fixture
def gateway() -> Gateway:
    routes = [Route("/data", _data), Route("/{path:path}", _page)]
    return Gateway({service: Router(routes) for service in Service}, Faults([]))


def _headers(gateway: Gateway, url: str) -> httpx.Headers:
    async def headers() -> httpx.Headers:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
            return (await client.get(url)).headers

    return asyncio.run(headers())


@pytest.mark.parametrize(
    "url", ["https://localhost/_localcloud/azureml", "https://adb-1.2.azuredatabricks.net/_localcloud/artifacts/a"]
)
def test_a_page_runs_no_scripts(gateway: Gateway, url: str) -> None:
    headers = _headers(gateway, url)
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert not any(part.startswith("script-src") for part in policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_an_artifact_has_no_origin_either(gateway: Gateway) -> None:
    policy = _headers(gateway, "https://localhost/_localcloud/azureml/runs/r/artifacts/report.html")
    assert "sandbox" in policy["content-security-policy"].split("; ")
    page = _headers(gateway, "https://localhost/_localcloud/azureml/runs/r")
    assert "sandbox" not in page["content-security-policy"].split("; "), "links of a page lead on"


def test_mlflows_page_runs_its_own_scripts(gateway: Gateway) -> None:
    policy = _headers(gateway, "https://localhost/_localcloud/mlflow/")["content-security-policy"].split("; ")
    assert "default-src 'self'" in policy
    assert not any("http" in part or "*" in part for part in policy), "nothing of another host"


@pytest.mark.parametrize("url", ["https://localhost/data", "https://st.blob.core.windows.net/data/page.html"])
def test_responses_of_services_keep_their_headers(gateway: Gateway, url: str) -> None:
    assert "content-security-policy" not in _headers(gateway, url)
