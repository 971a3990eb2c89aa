"""The machine's own proxy, behind localcloud's.

It is the proxy of the shell that started localcloud; `localcloud env` replaces HTTPS_PROXY and stores the former value
in LOCALCLOUD_UPSTREAM_PROXY and LOCALCLOUD_UPSTREAM_NO_PROXY.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Upstream:
    """The machine's own proxy, "" for none, and the hosts that do not go through it, as NO_PROXY lists them."""

    proxy: str
    no_proxy: str

    def takes(self, host: str) -> bool:
        if not self.proxy or host in {"localhost", "127.0.0.1", "::1"}:
            return False
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # slow to import, for `env`

        return not proxy_bypass_environment(host, {"no": self.no_proxy})


def upstream_of(environment: Mapping[str, str], own_port: int) -> Upstream:
    """Return the machine's own proxy, also in a shell that `localcloud env` has changed."""

    def either(name: str) -> str:
        return environment.get(name) or environment.get(name.lower()) or ""

    proxy = either("HTTPS_PROXY")
    if proxy.rstrip("/") in {f"http://127.0.0.1:{own_port}", f"http://localhost:{own_port}"}:
        kept = environment.get("LOCALCLOUD_UPSTREAM_PROXY", "")
        return Upstream(kept, environment.get("LOCALCLOUD_UPSTREAM_NO_PROXY", ""))
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return Upstream(proxy, either("NO_PROXY"))
