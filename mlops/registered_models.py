"""The registered versions of a pipeline's model: which one serves, and why each was registered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from mlops import candidates, online_endpoints
from mlops.clients import Clients
from mlops.lineage import METRIC
from mlops.terminal import cell
from steps import champion


@dataclass(frozen=True)
class RegisteredModel:
    """A version. `metrics` are of the held-out rows at its registration."""

    version: str
    serves: bool
    metrics: dict[str, float]
    decision: str
    code_version: str
    commit: str
    data_version: str
    pipeline_run: str
    promoted_from: str
    promoted_at: str
    rolled_back_at: str
    online: dict[str, int]
    """Percentages of the online requests, by the colour that has the version."""


def read(clients: Clients) -> list[RegisteredModel]:
    """Return the versions, newest first."""
    versions = candidates.versions(clients.ml, clients.pipeline.model)
    online: dict[str, dict[str, int]] = {}
    if clients.pipeline.specification.serve is not None:
        for deployment in online_endpoints.read(clients).deployments.values():
            online.setdefault(deployment.version, {})[deployment.colour] = deployment.traffic
    tags = {str(version.version): dict(version.tags or {}) for version in versions}
    serving = champion.champion(tags.items())
    return [_registered(version, tags[version], serving, online.get(version, {})) for version in tags]


def show(models: list[RegisteredModel], name: str, console: Console) -> None:
    """Print a table."""
    if not models:
        console.print(f"No version of {name} is registered.", highlight=False)
        return
    metrics = list(dict.fromkeys(metric for model in models for metric in model.metrics))
    online = ["online"] if any(model.online for model in models) else []
    table = Table(
        "version", "serves", *online, *metrics, "code", "why", title=f"Versions of {name}", title_justify="left"
    )
    for model in models:
        values = (f"{model.metrics[metric]:.4f}" if metric in model.metrics else "" for metric in metrics)
        state = "serves" if model.serves else ("rolled back" if model.rolled_back_at else "")
        reason = f"promoted from {model.promoted_from}" if model.promoted_from else model.decision
        shares = [", ".join(f"{colour} {share} %" for colour, share in model.online.items())] if online else []
        table.add_row(model.version, state, *shares, *values, cell(model.code_version), cell(reason))
    console.print(table)


def as_json(models: list[RegisteredModel]) -> list[dict[str, Any]]:
    """Return the versions as JSON values."""
    return [asdict(model) for model in models]


def _registered(version: str, tags: dict[str, str], serving: str | None, online: dict[str, int]) -> RegisteredModel:
    return RegisteredModel(
        version=version,
        serves=version == serving,
        metrics={name.removeprefix(METRIC): float(value) for name, value in tags.items() if name.startswith(METRIC)},
        decision=tags.get("decision", ""),
        code_version=tags.get("code_version", ""),
        commit=tags.get("commit", ""),
        data_version=tags.get("data_version", ""),
        pipeline_run=tags.get("pipeline_run", ""),
        promoted_from=tags.get(champion.PROMOTED_FROM, ""),
        promoted_at=tags.get(champion.PROMOTED_AT, ""),
        rolled_back_at=tags.get(champion.ROLLED_BACK_AT, ""),
        online=online,
    )
