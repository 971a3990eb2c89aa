"""Sign-in to storage by a cluster's Spark settings, for Databricks workspaces without Unity Catalog.

A service principal signs in with a client secret. Keys and values: learn.microsoft.com/azure/databricks/connect/storage
/azure-storage ("Connect to Azure Data Lake Storage with OAuth 2.0 credentials"). A managed identity cannot be used: a
cluster has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REQUIRED = {
    "fs.azure.account.auth.type": r"OAuth",
    "fs.azure.account.oauth.provider.type": r"org\.apache\.hadoop\.fs\.azurebfs\.oauth2\.ClientCredsTokenProvider",
    "fs.azure.account.oauth2.client.id": r".+",
    "fs.azure.account.oauth2.client.secret": r"\{\{secrets/.+\}\}",
    "fs.azure.account.oauth2.client.endpoint": r"https://login\.microsoftonline\.com/[^/]+/oauth2/(v2\.0/)?token",
}


def missing_keys(spark_conf: Mapping[str, str], account: str) -> list[str]:
    """Keys that are absent, or differ from the values that signing in to the account needs."""
    host = f"{account}.dfs.core.windows.net"
    values = {key.removeprefix("spark.hadoop."): value for key, value in spark_conf.items()}
    return [
        f"{key}.{host}"
        for key, pattern in _REQUIRED.items()
        if re.fullmatch(pattern, values.get(f"{key}.{host}", values.get(key, ""))) is None
    ]
