"""Requests of the score step that are held when it dies, or whose answers are lost: a client sends those again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud

from tests.integration.mlops.scoring_step import Step, step

__all__ = ["step"]

Faults = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def faults(azure: AzureSession, cloud: Cloud) -> Iterator[Faults]:
    """Return a function that sends a request to fault injection, and returns the rules in force."""
    token = azure.credential.get_token("https://management.azure.com/.default").token

    def request(method: str = "GET", rule: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        answer = requests.request(
            method, f"{cloud.settings.gateway_url}/_localcloud/faults", json=rule,
            headers={"Authorization": f"Bearer {token}"}, timeout=60,
        )  # fmt: skip
        answer.raise_for_status()
        rules: list[dict[str, Any]] = answer.json()["faults"]
        return rules

    yield request
    request("DELETE")


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a scoring step whose commit to a table is under way")
def test_a_commit_that_its_step_s_death_cut_short_is_made_by_the_next_run(step: Step, faults: Faults) -> None:
    assert step.to_table("template", "run-template").returncode == 0
    version = step.table().version()
    faults("POST", _commit_rule(step) | {"delay": 5})

    killed = step.to_table("cut", "cut-first", kill_at="commit:1500")
    assert killed.returncode == -signal.SIGALRM and faults() == [], "the step was killed while its commit was held"
    assert step.table().version() == version
    again = step.to_table("cut", "cut-second")

    assert again.returncode == 0, again.stderr
    assert step.check_in_table_once("cut").run == "cut-first"


@pytest.mark.nightly
@pytest.mark.fault_kind("lost answer to a commit to a table")
def test_a_commit_whose_answer_is_lost_is_made_once(step: Step, faults: Faults) -> None:
    assert step.to_table("template", "run-template").returncode == 0
    faults("POST", _commit_rule(step) | {"lose": True})

    scored = step.to_table("unheard", "run-unheard")

    assert scored.returncode == 0, scored.stderr
    assert faults() == [], "an answer was lost"
    assert step.check_in_table_once("unheard").run == "run-unheard"


@pytest.mark.nightly
@pytest.mark.parametrize("table", [False, True])
def test_a_lost_answer_to_any_request_changes_nothing(step: Step, table: bool) -> None:
    run = step.to_table if table else step.run
    assert run(f"whole-{table}", "run-whole").returncode == 0
    requests_sent = int(step.requests.read_text())
    assert requests_sent >= 8
    for number in range(1, requests_sent + 1):
        file = f"lost-{table}-{number}"
        scored = run(file, f"run-{file}", kill_at=f"{number}:lost")
        assert scored.returncode == 0, (number, scored.stderr)
        entry = step.check_in_table_once(file) if table else step.check_scored_once(file)
        assert entry.run == f"run-{file}", number


def _commit_rule(step: Step) -> dict[str, Any]:
    return {"host": f"{step.lake.name}.*", "path": "*/_delta_log/*.json", "method": "PUT", "count": 1}
