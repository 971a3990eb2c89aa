"""Calls of `pulumirpc.LanguageRuntime`: translation only; the decisions are in the other modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.engine.language_host import debug_messages, inspect_environment
from localcloud.engine.language_host.install_dependencies import install_steps
from localcloud.engine.language_host.options import OptionsError, PythonOptions
from localcloud.engine.language_host.policy_pack import PolicyPackProxy
from localcloud.engine.language_host.processes import Chunk, Processes, output
from localcloud.engine.language_host.protocol import (
    empty_pb2,
    grpc,
    json_format,
    language_pb2,
    language_pb2_grpc,
    plugin_pb2,
)
from localcloud.engine.language_host.run_program import REPORTED
from localcloud.engine.versions import PULUMI

_HERE = Path(__file__).parent
_RUN_PROGRAM = str(_HERE / "run_program.py")
_INSPECT = str(_HERE / "inspect_environment.py")


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):  # type: ignore[misc]  # generated code has no types
    """A host for one engine. Blocking calls run in the server's threads."""

    def __init__(self, engine_address: str, processes: Processes) -> None:
        self._engine_address = engine_address
        self._processes = processes

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine_address = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=PULUMI)

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        inspected = self._inspect(request.info, "plugins", context)
        packages = [plugin_pb2.PackageDependency(kind="resource", **package) for package in inspected]
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        inspected = self._inspect(request.info, "plugins", context)
        plugins = [plugin_pb2.PluginDependency(kind="resource", **plugin) for plugin in inspected]
        return language_pb2.GetRequiredPluginsResponse(plugins=plugins)

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        selection = "all" if request.transitiveDependencies else "dependencies"
        inspected = self._inspect(request.info, selection, context)
        dependencies = [language_pb2.DependencyInfo(**package) for package in inspected]
        return language_pb2.GetProgramDependenciesResponse(dependencies=dependencies)

    def About(self, request: Any, context: Any) -> Any:
        options = _options(request.info, context)
        python = _python(options, context)
        version = subprocess.run([python, "-V"], capture_output=True, text=True, check=False).stdout
        return language_pb2.AboutResponse(
            executable=str(python),
            version=version.removeprefix("Python ").strip(),
            metadata={"toolchain": options.toolchain, "typechecker": options.typechecker or "none"},
        )

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        self._processes.end_all()
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program to its end. Its output goes to our own streams, which the engine shows."""
        options = _options(request.info, context)
        python = _python(options, context)
        environment = {
            **options.environment(),
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        if options.typechecker and (problems := self._check_types(options, python, request.info)):
            return language_pb2.RunResponse(error=problems)
        # The engine names the entry point relative to the program's folder, and "." for the folder itself.
        program = Path(request.info.program_directory, request.info.entry_point or ".")
        arguments = {
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
            "monitor": request.monitor_address,
            "engine": self._engine_address,
            "debug": debug_messages.are_shown(os.getppid()),
            "dry_run": request.dryRun,
            "parallel": request.parallel,
            "pwd": request.pwd,
            "program": str(program.resolve()),
            "args": list(request.args),
        }
        command = [str(python), _RUN_PROGRAM, json.dumps(arguments)]
        with self._processes.started(command, cwd=request.pwd, env=environment, piped=False) as process:
            context.add_callback(process.terminate)  # the engine hung up
            code = process.wait()
        if code == 0:
            return language_pb2.RunResponse()
        if code == REPORTED:
            return language_pb2.RunResponse(bail=True)
        ending = f"was ended by signal {-code}" if code < 0 else f"exited with non-zero exit code: {code}"
        return language_pb2.RunResponse(error=f"program {ending}")

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Run a plugin written in Python, or a policy pack (kind `analyzer`), streaming its output to the engine."""
        options = _options(request.info, context)
        python = str(_python(options, context))
        folder = request.info.program_directory
        environment = {**options.environment(), **dict(pair.split("=", 1) for pair in request.env if "=" in pair)}
        if request.kind == "analyzer":
            # The SDK's runner expects the pack last, and packs have always run in their own folder.
            command = [python, "-u", "-m", "pulumi.policy", *request.args, folder]
            yield from self._run_policy_pack(command, folder, environment, context)
            return
        command = [python, "-u", folder, *request.args]
        with self._processes.started(command, cwd=request.pwd, env=environment, piped=True) as process:
            context.add_callback(process.terminate)
            for chunk in output(process):
                yield language_pb2.RunPluginResponse(**_named(chunk))
            yield language_pb2.RunPluginResponse(exitcode=process.wait())

    def _run_policy_pack(
        self, command: list[str], folder: str, environment: dict[str, str], context: Any
    ) -> Iterator[Any]:
        proxy = PolicyPackProxy()
        context.add_callback(proxy.close)
        try:
            yield language_pb2.RunPluginResponse(stdout=f"{proxy.port}\n".encode())
            environment |= proxy.environment()
            if not context.is_active():
                return  # the engine left before it named a stack
            with self._processes.started(command, cwd=folder, env=environment, piped=True) as process:
                context.add_callback(process.terminate)
                attached = False
                for stream, text in output(process):
                    if stream == "stdout" and not attached and text.strip().isdigit():
                        proxy.attach(int(text))
                        attached = True
                    else:
                        yield language_pb2.RunPluginResponse(**_named((stream, text)))
                proxy.close()
                yield language_pb2.RunPluginResponse(exitcode=process.wait())
        finally:
            proxy.close()

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        options = _options(request.info, context)
        for command in install_steps(options, Path(request.info.program_directory)):
            yield language_pb2.InstallDependenciesResponse(stdout=f"$ {' '.join(command)}\n".encode())
            with self._processes.started(command, cwd=request.info.program_directory, env={}, piped=True) as process:
                context.add_callback(process.terminate)
                for chunk in output(process):
                    yield language_pb2.InstallDependenciesResponse(**_named(chunk))
                if code := process.wait():
                    context.abort(grpc.StatusCode.UNKNOWN, f"`{' '.join(command)}` ended with exit code {code}")

    def _inspect(self, info: Any, selection: str, context: Any) -> list[dict[str, str]]:
        """Ask the program's environment; without a new process when that is our own."""
        python = _python(_options(info, context), context)
        if python == Path(sys.executable):
            if selection == "plugins":
                return inspect_environment.plugins()
            return inspect_environment.distributions(transitive=selection == "all")
        completed = subprocess.run([python, _INSPECT, selection], capture_output=True, text=True, check=False)
        if completed.returncode:
            context.abort(grpc.StatusCode.UNKNOWN, f"{python} cannot list its packages: {completed.stderr.strip()}")
        inspected: list[dict[str, str]] = json.loads(completed.stdout)
        return inspected

    def _check_types(self, options: PythonOptions, python: Path, info: Any) -> str | None:
        """Return the findings of the options' type checker, None if there are none."""
        command = [str(python), "-m", str(options.typechecker)]
        if options.typechecker == "mypy" and options.virtualenv and options.virtualenv.is_relative_to(options.root):
            command += ["--exclude", str(options.virtualenv.relative_to(options.root))]
        completed = subprocess.run(
            [*command, info.program_directory], cwd=info.program_directory, capture_output=True, text=True, check=False
        )
        return f"{options.typechecker} failed:\n{completed.stdout}{completed.stderr}" if completed.returncode else None


def _options(info: Any, context: Any) -> PythonOptions:
    try:
        return PythonOptions.parse(info.root_directory, json_format.MessageToDict(info.options))
    except OptionsError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        raise AssertionError("abort raises") from error


def _python(options: PythonOptions, context: Any) -> Path:
    try:
        return options.python()
    except OptionsError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        raise AssertionError("abort raises") from error


def _named(chunk: Chunk) -> dict[str, bytes]:
    return {chunk[0]: chunk[1]}
