"""The verbs of online endpoints: serve and invoke."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlops.cli_options import Outputs, Pipeline, Stack, clients_of
from mlops.errors import InvalidError, MissingError
from mlops.suggestions import hint
from mlops.terminal import as_json, plain, say

serving = typer.Typer()
_STANDARD_INPUT = "-"


@serving.command()
def serve(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Move all requests in one step, such as to go back.")
    ] = False,
    if_asked: Annotated[
        bool, typer.Option("--if-asked", help="Do nothing for a pipeline whose pipeline.yml does not say `serve`.")
    ] = False,
    log: Annotated[bool, typer.Option("--log", help="Only print the answering deployment's log.")] = False,
) -> None:
    """Let the version that serves answer online requests: beside the old one, tried, and with traffic in steps."""
    from mlops import online_endpoints, rollout

    clients = clients_of(stack, outputs, pipeline)
    if if_asked and clients.pipeline.specification.serve is None:
        say(f"{clients.pipeline.name} does not serve online: nothing to deploy.")
    elif log:
        endpoint = online_endpoints.read(clients)
        if endpoint.serving is None:
            raise MissingError(
                f"Nothing answers on {endpoint.name}: run `python -m mlops serve {clients.options}` first."
            )
        typer.echo(plain(online_endpoints.log(clients, endpoint.serving.colour), lines=True))
    else:
        rollout.serve(clients, say, at_once=at_once)


@serving.command()
def invoke(
    file: Annotated[
        Path, typer.Option("--file", help="JSON file with the request, or rows as objects; - is standard input.")
    ],
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    deployment: Annotated[
        str | None, typer.Option(help="Deployment to ask, such as blue; default: by traffic.")
    ] = None,
) -> None:
    """Ask the online endpoint, and print its answer as JSON. The request is checked before it is sent."""
    from mlops import invoke as invocation
    from mlops import online_endpoints, online_requests, served_model

    source = "Standard input" if str(file) == _STANDARD_INPUT else plain(str(file))
    request = online_requests.read(_text(file, source), source)
    clients = clients_of(stack, outputs, pipeline)
    clients.pipeline.online  # noqa: B018 - refuses a pipeline that does not serve online
    endpoint = online_endpoints.read(clients)
    if deployment is not None and deployment not in endpoint.deployments:
        raise MissingError(
            f"{endpoint.name} has no deployment {deployment!r}. {hint(deployment, endpoint.deployments)}"
        )
    invoked = endpoint.deployments[deployment] if deployment is not None else endpoint.serving
    if invoked is None:
        raise MissingError(f"Nothing answers on {endpoint.name}: run `python -m mlops serve {clients.options}` first.")
    if invoked.version:
        request = online_requests.fit(request, served_model.read(clients, invoked.version).columns, source)
    typer.echo(as_json(invocation.Caller(clients, endpoint).ask(request, deployment)))


def _text(file: Path, source: str) -> str:
    try:
        return sys.stdin.read() if str(file) == _STANDARD_INPUT else file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingError(f"There is no file {source}: give one with a request, such as request.json.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{source} cannot be read: {error}.") from error
