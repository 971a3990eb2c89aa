"""Code folders and small helpers that the tests of jobs share."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from azure.ai.ml import command, dsl
from azure.ai.ml.entities import Component

from localcloud.core.json import Json
from localcloud.testing.azure_session import unique
from localcloud.testing.workspace_session import ML, MlWorkspace

STEP = """
import pathlib, sys
word, out, before = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
text = pathlib.Path(before[0], "words.txt").read_text() if before else ""
print("step", word, flush=True)
if word == "boom":
    raise ValueError("boom happened")
(out / "words.txt").write_text(text + word)
"""


def pipeline(**settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """azure.ai.ml.dsl.pipeline, with a type."""
    return cast(Callable[[Callable[..., Any]], Callable[..., Any]], dsl.pipeline(**settings))


def code(folder: Path, **files: str) -> Path:
    """Return a code folder of Python files by module name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.py").write_text(content)
    return folder


def submit(ml: MlWorkspace, line: str, **arguments: Any) -> str:
    """Submit a command job; its name."""
    arguments = {"compute": ml.compute, "environment": ml.environment} | arguments
    job = command(name=unique("job"), command=line, **arguments)
    return str(ml.client.jobs.create_or_update(job).name)


def component(ml: MlWorkspace, source: Path, line: str, **arguments: Any) -> Component:
    builder = command(name=unique("step"), command=line, code=str(source), environment=ml.environment, **arguments)
    return builder.component


def job_body(ml: MlWorkspace, line: str, **properties: Any) -> Json:
    """ARM's body of a command job."""
    body: Json = {
        "jobType": "Command",
        "command": line,
        "environmentId": ml.environment,
        "computeId": f"{ml.id}/computes/{ml.compute}",
        "experimentName": "tests",
    }
    return {"properties": body | properties}


def put_job(ml: MlWorkspace, body: Json, name: str = "") -> tuple[int, Json]:
    answer = ml.azure.arm("PUT", f"{ml.id}/jobs/{name or unique('job')}", ML, body)
    return answer.status_code, answer.json()


def refused(ml: MlWorkspace, body: Json) -> tuple[int, str, str]:
    """Return (status, code, message) of a job that must be refused."""
    status, content = put_job(ml, body)
    assert status >= 400, content
    return status, content["error"]["code"], content["error"]["message"]


def details(ml: MlWorkspace, name: str) -> Json:
    """Run history's details of a run."""
    answer = ml.azure.credential.get_token("https://ml.azure.com/.default")
    request = urllib.request.Request(
        f"{ml.data_plane}/history/v1.0{ml.id}/runs/{name}/details", headers={"Authorization": f"Bearer {answer.token}"}
    )
    with urllib.request.urlopen(request) as response:
        content: Json = json.load(response)
    return content


def log_of(ml: MlWorkspace, name: str) -> str:
    """Return std_log.txt, by its address in the run history."""
    with urllib.request.urlopen(details(ml, name)["logFiles"]["user_logs/std_log.txt"]) as response:
        return str(response.read().decode())


def error_of_run(ml: MlWorkspace, name: str) -> tuple[str, str]:
    error = details(ml, name)["error"]["error"]
    return error["code"], error["message"]


def steps(ml: MlWorkspace, job: str) -> dict[str, str]:
    """State of each step by its name."""
    return {child.display_name: child.status for child in ml.client.jobs.list(parent_job_name=job)}
