"""`python -m localcloud`: its processes, output and refusals."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
from localcloud.cli.env import variables
from localcloud.core.settings import Settings
from localcloud.gateway import instance
from localcloud.testing.cloud import Cloud, free_port


@pytest.fixture(scope="module")
def own(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a localcloud to start and kill, in a folder that a shell must quote."""
    home = tmp_path_factory.mktemp("own") / "it's $HOME"
    separate = Cloud(Settings(home=home, port=free_port(), cache=cloud.settings.cache), {})
    yield separate
    separate.command("stop")


@pytest.fixture
def fresh(cloud: Cloud, tmp_path: Path) -> Cloud:
    """Return a localcloud that was never started."""
    return Cloud(Settings(home=tmp_path / "home", port=free_port(), cache=cloud.settings.cache), {})


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def _blob(cloud: Cloud, call: str) -> str:
    """Return the printed result of a call on a blob of the state's container."""
    script = (
        "from azure.identity import DefaultAzureCredential; from azure.storage.blob import BlobClient; "
        "url = 'https://stlocalcloudstate.blob.core.windows.net/state/probe'; "
        f"print(BlobClient.from_blob_url(url, DefaultAzureCredential()).{call})"
    )
    environment = {**os.environ, **variables(cloud.settings)}
    completed = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return completed.stdout.strip()


@pytest.mark.usefixtures("tracking")
def test_status_names_the_processes(cloud: Cloud) -> None:
    answer = cloud.command("status")
    assert answer.returncode == 0
    for name in ("gateway", "Azurite", "MLflow", str(cloud.settings.gateway_port)):
        assert name in answer.stdout


@pytest.mark.usefixtures("tracking")
def test_everything_listens_only_on_the_loopback_interface(cloud: Cloud) -> None:
    running = instance.running(cloud.settings)
    assert running is not None
    gateway = psutil.Process(running.pid)
    listening = {
        connection.laddr
        for process in (gateway, *gateway.children(recursive=True))
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = {address.port for address in listening}
    assert ports >= {cloud.settings.port + offset for offset in range(5)}
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_commands_on_a_home_that_was_never_started_fail(fresh: Cloud) -> None:
    environment = fresh.command("env")
    assert (environment.returncode, environment.stdout) == (1, ""), "eval must get nothing"
    assert f"localcloud was never started in {fresh.settings.home}" in environment.stderr
    assert len(environment.stderr.splitlines()) == 1
    assert fresh.command("status").returncode == 1
    assert fresh.command("logs").returncode == 1
    stop = fresh.command("stop")
    assert (stop.returncode, stop.stdout) == (0, "localcloud does not run.\n")


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of an idle gateway")
def test_two_starts_at_once_make_one_localcloud_and_a_killed_one_is_replaced(own: Cloud) -> None:
    with ThreadPoolExecutor(2) as pool:
        starts = list(pool.map(lambda _: own.command("start"), range(2)))
    assert [answer.returncode for answer in starts] == [0, 0], [answer.stderr for answer in starts]
    fresh_starts = [answer for answer in starts if "is ready at" in answer.stdout]
    # Code that was edited during the first start is a reason for a second one.
    assert len([answer for answer in fresh_starts if "runs other code" not in answer.stdout]) == 1
    first = instance.running(own.settings)
    assert first is not None
    credentials = (own.settings.home / "deployer.json").read_text()
    children = [child.pid for child in psutil.Process(first.pid).children(recursive=True)]
    os.kill(first.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.pid)] if psutil.pid_exists(first.pid) else [], timeout=10)
    assert own.command("status").returncode == 1
    again = own.command("start")
    assert again.returncode == 0, again.stderr
    second = instance.running(own.settings)
    assert second is not None and second.pid != first.pid
    assert _alive(children) == [], "what the killed gateway left is gone"
    assert (own.settings.home / "deployer.json").read_text() == credentials, "nothing is forgotten"


def test_mlflow_starts_with_the_first_request_for_it(own: Cloud) -> None:
    assert own.command("start").returncode == 0
    assert "MLflow, when it is needed" in own.command("status").stdout
    running = instance.running(own.settings)
    assert running is not None
    before = {child.pid for child in psutil.Process(running.pid).children()}
    script = "import mlflow; print(mlflow.search_experiments()[0].name)"
    environment = {**os.environ, **variables(own.settings)}

    completed = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )

    assert completed.stdout == "Default\n", completed.stderr
    (server,) = (child for child in psutil.Process(running.pid).children() if child.pid not in before)
    assert "localcloud.azureml.mlflow.server" in server.cmdline()
    assert "MLflow, when it is needed" not in own.command("status").stdout


def test_a_second_start_changes_nothing(own: Cloud) -> None:
    assert own.command("start").returncode == 0
    before = instance.running(own.settings)
    answer = own.command("start")
    assert answer.returncode == 0 and f"runs at {own.settings.gateway_url}" in answer.stdout
    assert instance.running(own.settings) == before


@pytest.mark.nightly
def test_a_localcloud_of_other_code_is_started_again(own: Cloud) -> None:
    assert own.command("start").returncode == 0
    file = instance.state_file(own.settings)
    state = json.loads(file.read_text())
    file.write_text(json.dumps({**state, "fingerprint": "of older code"}))
    assert "`localcloud start` starts it again" in own.command("status").stdout
    answer = own.command("start")
    assert answer.returncode == 0 and "runs other code or ports: it starts again" in answer.stdout
    now = instance.running(own.settings)
    assert now is not None and (now.pid, now.fingerprint) != (state["pid"], "of older code")


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of an idle gateway")
def test_temporary_files_are_in_the_localcloud_s_own_folder_and_deleted_with_it(own: Cloud, tmp_path: Path) -> None:
    """The next start clears the files of a killed one."""
    assert own.command("start", TMPDIR=str(tmp_path)).returncode == 0
    _blob(own, "upload_blob(b'kept', overwrite=True)")
    running = instance.running(own.settings)
    assert running is not None
    for child in psutil.Process(running.pid).children():
        assert child.environ()["TMPDIR"] == str(own.settings.scratch)
    left = own.settings.scratch / "left-by-a-killed-one"
    left.touch()
    (own.settings.home / "drivers" / "of-a-killed-one").mkdir(parents=True)
    os.kill(running.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(running.pid)] if psutil.pid_exists(running.pid) else [], timeout=10)
    assert own.command("start").returncode == 0
    assert not left.exists() and not (own.settings.home / "drivers" / "of-a-killed-one").exists()
    assert own.command("stop").returncode == 0
    assert not own.settings.scratch.exists() and list(tmp_path.iterdir()) == []


def test_stop_terminates_every_process_and_env_works_without_them(own: Cloud) -> None:
    assert own.command("start").returncode == 0
    running = instance.running(own.settings)
    assert running is not None
    _blob(own, "upload_blob(b'kept', overwrite=True)")
    processes = [running.pid, *(child.pid for child in psutil.Process(running.pid).children(recursive=True))]
    answer = own.command("stop")
    assert answer.returncode == 0 and "is stopped" in answer.stdout
    assert _alive(processes) == []
    printed = own.command("env").stdout
    assert all(line.startswith("export ") for line in printed.splitlines()), printed
    shell = subprocess.run(
        ["sh", "-c", 'eval "$1"; printf "%s\\n%s" "$LOCALCLOUD_HOME" "$SSL_CERT_FILE"', "sh", printed],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shell.stdout.splitlines() == [str(own.settings.home), str(own.settings.tls / "bundle.pem")]
    assert own.command("start").returncode == 0
    assert _blob(own, "download_blob().readall()") == "b'kept'", "the last write before the stop is there"


def test_commands_read_the_ports_from_the_home(own: Cloud) -> None:
    assert own.command("start").returncode == 0
    answer = own.command("status", LOCALCLOUD_PORT="")
    assert answer.returncode == 0 and f"runs at {own.settings.gateway_url}" in answer.stdout
    printed = own.command("env", LOCALCLOUD_PORT="").stdout
    assert f"export HTTPS_PROXY='http://127.0.0.1:{own.settings.proxy_port}'\n" in printed


def test_logs_are_followed_until_ctrl_c(own: Cloud) -> None:
    assert own.command("start").returncode == 0
    words = [sys.executable, "-u", "-m", "localcloud", "logs", "--follow"]
    settings = {"LOCALCLOUD_HOME": str(own.settings.home), "LOCALCLOUD_PORT": str(own.settings.port)}
    with subprocess.Popen(words, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert any("localcloud is ready at" in line for line in iter(follower.stdout.readline, ""))
        requests.get(f"{own.settings.gateway_url}/followed", verify=str(own.settings.tls / "bundle.pem"), timeout=10)
        assert any("/followed 501" in line for line in iter(follower.stdout.readline, ""))
        follower.send_signal(signal.SIGINT)
        assert follower.wait(timeout=10) == 0


def test_env_in_its_own_shell_prints_the_same(cloud: Cloud) -> None:
    printed = cloud.command("env").stdout
    variables = dict(shlex.split(line)[1].partition("=")[::2] for line in printed.splitlines())
    assert variables["HTTPS_PROXY"] == f"http://127.0.0.1:{cloud.settings.proxy_port}"
    assert cloud.command("env", **variables).stdout == printed


def test_env_names_the_tools_in_a_shell_with_another_path(cloud: Cloud, tmp_path: Path) -> None:
    printed = cloud.command("env").stdout
    other = cloud.command("env", PATH=os.pathsep.join([os.environ["PATH"], str(tmp_path)])).stdout

    assert "export JAVA_HOME=" in printed
    assert other == printed.replace(f"export PATH='{_path(printed)}'", f"export PATH='{_path(printed)}:{tmp_path}'")


def _path(printed: str) -> str:
    return next(line for line in printed.splitlines() if line.startswith("export PATH=")).split("'")[1]


def test_a_port_in_use_is_named_with_its_process(fresh: Cloud) -> None:
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", fresh.settings.mlflow_port))
        occupied.listen()
        answer = fresh.command("start")
    assert answer.returncode == 1
    assert f"{fresh.settings.mlflow_port} (for MLflow) by process {os.getpid()}" in answer.stderr
    assert "LOCALCLOUD_PORT=" in answer.stderr and "Traceback" not in answer.stderr
    assert fresh.command("status").returncode == 1, "nothing half started"


@pytest.mark.parametrize(
    ("name", "value", "message", "named"),
    [
        ("LOCALCLOUD_FAULTS", '[{"sttus": 500}]', "LOCALCLOUD_FAULTS is not a list of faults", "sttus"),
        ("LOCALCLOUD_DRIVER_MEMORY", "lots", "write a number of MiB or GiB, such as 2048m or 2g", "'lots'"),
    ],
)
def test_a_failed_start_shows_its_reason(fresh: Cloud, name: str, value: str, message: str, named: str) -> None:
    answer = fresh.command("start", **{name: value})
    assert answer.returncode == 1
    assert message in answer.stderr and named in answer.stderr
    assert "Traceback" not in answer.stderr
    assert instance.gateway(fresh.settings) is None


@pytest.mark.parametrize("port", ["abc", "80", "65534"])
def test_an_unusable_port_is_refused(fresh: Cloud, port: str) -> None:
    answer = fresh.command("start", LOCALCLOUD_PORT=port)
    assert answer.returncode == 1 and f"LOCALCLOUD_PORT is '{port}'" in answer.stderr


def test_clean_deletes_only_a_home(fresh: Cloud) -> None:
    home = fresh.settings.home
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    (home / "logs").mkdir()
    refused = fresh.command("clean", "--yes")
    assert refused.returncode == 1 and "does not look like a localcloud home" in refused.stderr
    assert (home / "thesis.txt").exists()
    (home / "start.lock").touch()
    unanswered = fresh.command("clean", stdin="")
    assert unanswered.returncode == 1 and f"Delete everything in {home}?" in unanswered.stdout and home.exists()
    assert fresh.command("clean", stdin="no\n").returncode == 1 and home.exists()
    assert fresh.command("clean", "--yes").returncode == 0
    assert not home.exists()
