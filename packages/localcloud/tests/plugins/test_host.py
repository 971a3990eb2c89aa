"""The plugin host: plugins that are forked for an engine equal plugins that it starts itself."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import localcloud
import psutil
import pytest
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from localcloud.core.settings import Settings
from localcloud.engine import pulumi_home
from localcloud.plugins import launcher
from localcloud.plugins.values import to_struct
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

SECONDS = 60
GROUP = "urn:pulumi:s::p::azure-native:resources:ResourceGroup::group"
NO_SUBSCRIPTION = "the subscription is not known: set ARM_SUBSCRIPTION_ID"
ENGINE = """
import subprocess, sys, time
plugin = subprocess.Popen([sys.argv[1], "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
print(plugin.stdout.readline().strip(), flush=True)
time.sleep(600)
"""


class Started:
    """A plugin as the engine starts it, by the launcher in its PULUMI_HOME."""

    def __init__(self, file: Path, inherited: int = 1, **variables: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARM_", "AZURE_"))}
        self.process = subprocess.Popen(
            [file, "127.0.0.1:0"], env=kept | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            pass_fds=(inherited,),
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.stub: Any = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{self.port}"))

    def version(self) -> str:
        return str(self.stub.GetPluginInfo(empty_pb2.Empty(), timeout=SECONDS).version)

    def refusal(self) -> str:
        """Return why a resource group cannot be created."""
        inputs = to_struct({"resourceGroupName": "rg-any", "location": "westeurope"})
        with pytest.raises(grpc.RpcError) as error:
            self.stub.Create(provider_pb2.CreateRequest(urn=GROUP, properties=inputs), timeout=SECONDS)
        return str(error.value.details())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        _, written = self.process.communicate(timeout=SECONDS)
        assert written == ""
        return self.process.returncode


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """PULUMI_HOME with launchers, in a path that is longer than the address of a socket may be."""
    pulumi = tmp_path / "pulumi"
    pulumi.touch(0o755)
    folder = tmp_path / ("long" * 30)
    yield pulumi_home.prepare(Settings(home=folder, cache=tmp_path / "cache"), pulumi).home
    launcher.end_host(str(folder / "pulumi"))


def plugin_file(home: Path, provider: str = "azure-native") -> Path:
    return next((home / "plugins").glob(f"*/pulumi-resource-{provider}"))


def listener(port: int) -> psutil.Process | None:
    """Return the process that listens on a port."""
    for process in psutil.process_iter():
        try:
            if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in process.net_connections("tcp")):
                return process
        except psutil.Error:
            continue
    return None


def forked(plugin: Started) -> psutil.Process:
    process = listener(plugin.port)
    assert process is not None
    assert process.pid != plugin.process.pid, "the launcher is the plugin: there was no host"
    return process


def wait_until(condition: Callable[[], bool], message: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.02)


def test_one_host_forks_a_process_for_each_plugin_and_engine(home: Path) -> None:
    files = [plugin_file(home), plugin_file(home, "databricks"), plugin_file(home)]
    plugins = [Started(file) for file in files]

    versions = [plugin.version() for plugin in plugins]
    assert versions == [file.parent.name.rpartition("-v")[2] for file in files]
    processes = [forked(plugin) for plugin in plugins]
    assert len({process.pid for process in processes}) == 3
    assert len({process.ppid() for process in processes}) == 1

    assert [plugin.stop() for plugin in plugins] == [0, 0, 0]
    wait_until(lambda: not any(process.is_running() for process in processes), "a plugin does not end")


def test_a_plugin_has_the_variables_of_its_own_engine_and_the_host_none(home: Path) -> None:
    elsewhere = {"ARM_ENDPOINT": "http://127.0.0.1:1", "ARM_CLIENT_SECRET": "never-in-the-host"}
    with_subscription = Started(plugin_file(home), 1, ARM_SUBSCRIPTION_ID="11111111-0000", **elsewhere)
    without = Started(plugin_file(home))

    host = forked(without).parent()
    assert host is not None
    assert not [name for name in host.environ() if name.startswith(("ARM_", "AZURE_", "PULUMI_"))]
    assert NO_SUBSCRIPTION in without.refusal()
    assert NO_SUBSCRIPTION not in with_subscription.refusal()
    assert (without.stop(), with_subscription.stop()) == (0, 0)


def test_only_the_user_can_open_the_host_s_socket(home: Path) -> None:
    plugin = Started(plugin_file(home))

    assert (home / launcher.SOCKET).stat().st_mode & 0o777 == 0o600
    assert plugin.stop() == 0


def test_the_host_keeps_no_file_of_the_shell_open(home: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    plugin = Started(plugin_file(home), inherited=writer)
    os.close(writer)
    host = forked(plugin).parent()
    assert host is not None
    assert plugin.stop() == 0

    with os.fdopen(reader) as stream:
        assert stream.read() == "", "the end of a shell's pipe comes while the host runs"
    assert host.is_running()


def test_a_forked_plugin_ends_when_its_launcher_is_killed(home: Path) -> None:
    plugin = Started(plugin_file(home))
    process = forked(plugin)

    plugin.process.kill()
    plugin.process.communicate(timeout=SECONDS)

    wait_until(lambda: not process.is_running(), "the plugin outlives its launcher")


def test_a_forked_plugin_ends_when_its_engine_is_killed(home: Path) -> None:
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, plugin_file(home)], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    with engine.stdout as output:
        process = listener(int(output.readline()))
    assert process is not None
    assert process.parent() not in {None, psutil.Process(engine.pid)}

    engine.kill()
    engine.wait()

    wait_until(lambda: not process.is_running(), "the plugin outlives its engine")


@pytest.mark.nightly
def test_an_interrupt_lets_a_request_that_is_under_way_go_on(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(SECONDS)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        plugin = Started(plugin_file(home), ARM_USE_MSI="true", IDENTITY_ENDPOINT=endpoint, IDENTITY_HEADER="any")
        request = provider_pb2.InvokeRequest(tok="azure-native:authorization:getClientConfig")
        answer = plugin.stub.Invoke.future(request)
        connection, _ = silent.accept()

        plugin.process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # nothing can be polled for: it must not end
        assert forked(plugin).is_running()
        assert not answer.done()

        plugin.process.terminate()
        plugin.process.communicate(timeout=SECONDS)
        assert plugin.process.returncode == 0
        connection.close()


def test_a_plugin_runs_without_a_host_where_none_can_be_started(home: Path) -> None:
    (home / "plugin-host.lock").mkdir()

    plugin = Started(plugin_file(home))

    assert plugin.version()
    assert listener(plugin.port) == psutil.Process(plugin.process.pid)
    assert plugin.stop() == 0


def test_a_host_that_was_killed_is_replaced(home: Path) -> None:
    first = Started(plugin_file(home))
    host = forked(first).parent()
    assert host is not None
    host.kill()
    host.wait(SECONDS)

    second = Started(plugin_file(home))

    assert forked(second).ppid() != host.pid
    assert (first.stop(), second.stop()) == (0, 0), "a plugin goes on without its host"


@pytest.mark.nightly
def test_a_host_whose_code_has_changed_is_replaced(home: Path, tmp_path: Path) -> None:
    code = tmp_path / "code"
    source = Path(localcloud.__file__).parent
    shutil.copytree(source, code / "localcloud", ignore=shutil.ignore_patterns("__pycache__"))
    file = plugin_file(home)
    file.write_text(file.read_text().replace(str(source.parent), str(code)))
    first = Started(file)
    old = forked(first).ppid()
    again = Started(file)
    assert forked(again).ppid() == old

    with (code / "localcloud" / "plugins" / "diffing.py").open("a") as stream:
        stream.write("# Changed.\n")
    second = Started(file)

    assert forked(second).ppid() != old
    wait_until(lambda: not psutil.pid_exists(old), "the old host stays")
    assert [plugin.stop() for plugin in (first, again, second)] == [0, 0, 0]


@pytest.mark.nightly
def test_a_host_exits_on_request_and_when_its_folder_is_gone(home: Path) -> None:
    first = Started(plugin_file(home))
    host = forked(first).ppid()
    assert launcher.end_host(str(home))
    wait_until(lambda: not psutil.pid_exists(host), "the host does not end")
    assert not (home / launcher.SOCKET).exists()
    assert not launcher.end_host(str(home))

    second = Started(plugin_file(home))
    host = forked(second).ppid()
    (home / launcher.SOCKET).unlink()
    wait_until(lambda: not psutil.pid_exists(host), "the host outlives its folder")
    assert (first.stop(), second.stop()) == (0, 0)
