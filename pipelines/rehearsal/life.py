"""Play the stages of a life one after another, with the time of each, and leave nothing of it behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from azure.core.exceptions import AzureError
from pipeline_runner import organisation as organisations
from pipeline_runner.errors import RunnerError
from rich.console import Console

from pipelines.rehearsal import ORGANISATION, life_data
from pipelines.rehearsal.agent import ProdAgent
from pipelines.rehearsal.cloud import certificate, open_cloud
from pipelines.rehearsal.life_stages import STAGES, Life, tidy
from pipelines.rehearsal.life_table import Outcome, Row
from pipelines.rehearsal.next_commit import default_specification, webhook_address
from pipelines.rehearsal.prod import LocalProd
from pipelines.rehearsal.webhook import listening

FAILURES = (RunnerError, AzureError, httpx.HTTPError, OSError, KeyError)
"""Errors that end a stage: failed checks, errors of services, and answers that lack a value."""
_GROUP, _CONNECTION = "dataopsml-prod", "DataOpsML ARM Connection - prod"


def play(
    life: Life,
    console: Console,
    stages: Mapping[str, Callable[[Life], Outcome]] = STAGES,
    clock: Callable[[], float] = time.monotonic,
) -> list[Row]:
    """Play stages until one fails; return a row for each that was begun. The life is tidied up in any case."""
    rows: list[Row] = []
    try:
        for name, stage in stages.items():
            console.print(f"Life, {name}: {(stage.__doc__ or '').splitlines()[0]}", highlight=False, markup=False)
            rows.append(timed(name, lambda stage=stage: stage(life), clock))  # type: ignore[misc]
            if rows[-1].failed:
                break
    finally:
        tidy(life)
    return rows


def timed(name: str, work: Callable[[], Outcome], clock: Callable[[], float] = time.monotonic) -> Row:
    """Do the work of a stage; return its row, also where it failed."""
    began = clock()
    try:
        return Row(name, work(), clock() - began)
    except FAILURES as error:
        return Row(name, Outcome(str(error) or type(error).__name__), clock() - began, failed=True)


@contextmanager
def opened(checkout: Path, home: Path, *, yes: bool) -> Iterator[Life]:
    """Open a life in prod, of the commit that was released there last, whose copy is `checkout`.

    Raises RunnerError without prod, or when the commit does not configure retraining.
    """
    organisation = organisations.read(ORGANISATION)
    specification = yaml.safe_load(default_specification(checkout).read_text(encoding="utf-8"))
    with open_cloud(organisation) as cloud:
        prepared = cloud.prepare(checkout)
        variables = {**prepared[_GROUP], **organisation.groups[_GROUP]}
        agent = ProdAgent(cloud, variables, checkout, home, yes=yes)
        outputs = json.loads(agent.run("pulumi", "stack", "output", "--json", "--stack", "prod"))
        with listening(webhook_address(checkout), certificate()) as webhook:
            yield Life(
                agent=agent,
                prod=LocalProd(outputs, cloud.credential(_CONNECTION)),
                webhook=webhook,
                data=life_data.read(checkout, specification, int(datetime.now(UTC).timestamp())),
                model=str(specification["model"]),
                input_folder=str(specification["score"]["input"]),
                invoker=_invoker(outputs),
            )


def _invoker(outputs: Mapping[str, Any]) -> str:
    client_id = outputs.get("retraining_client_id")
    if not client_id:
        raise RunnerError("prod has no identity that starts retrainings: release the rehearsal's next commit first.")
    return str(client_id)
