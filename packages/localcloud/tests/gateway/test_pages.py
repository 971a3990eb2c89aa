"""Access to pages and to MLflow on localhost, by real HTTP clients."""

from __future__ import annotations

import http.client
import os
import pwd
import ssl
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import mlflow
import psutil
import pytest
import requests
from localcloud.gateway import instance
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud
from mlflow.exceptions import MlflowException

_JOBS = "/_localcloud/azureml"
_PAGES = (
    _JOBS,
    "/_localcloud/azureml/runs/some-run?wsid=/subscriptions/x",
    "/_localcloud/azureml/runs/some-run/artifacts/report.html?wsid=/subscriptions/x",
    "/_localcloud/databricks/runs/1",
    "/_localcloud/mlflow",
    "/_localcloud/mlflow/",
    "/_localcloud/mlflow/api/2.0/mlflow/experiments/get?experiment_id=0",
    "/_localcloud/mlflow/api/3.0/mlflow/workspaces",
)
_CREATE = "/_localcloud/mlflow/ajax-api/2.0/mlflow/experiments/create"
_PERSON = {"CI": "", "TF_BUILD": ""}


def _link(cloud: Cloud) -> str:
    completed = cloud.command("open", **_PERSON)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()


@pytest.fixture
def browser(cloud: Cloud, azure: AzureSession) -> Iterator[requests.Session]:
    """Return a browser that opened a link."""
    with requests.Session() as session:
        answer = session.get(_link(cloud), timeout=30)
        assert (answer.status_code, urlsplit(answer.url).path) == (200, _JOBS)
        yield session


def _deployer(azure: AzureSession) -> dict[str, str]:
    return {"Authorization": f"Bearer {azure.credential.get_token('https://management.azure.com/.default').token}"}


def _request(cloud: Cloud, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Send a request with exactly these headers, Host included; its path is not normalized."""
    trust = ssl.create_default_context(cafile=cloud.settings.tls / "ca.pem")
    connection = http.client.HTTPSConnection("localhost", cloud.settings.gateway_port, context=trust, timeout=30)
    try:
        connection.request(method, path, body=b"{}" if method == "POST" else None, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _cookie(browser: requests.Session) -> str:
    ((name, value),) = browser.cookies.get_dict().items()
    return f"{name}={value}"


@pytest.mark.parametrize("path", _PAGES)
def test_a_page_without_a_session_names_make_open(cloud: Cloud, azure: AzureSession, path: str) -> None:
    url = f"{cloud.settings.gateway_url}{path}"

    page = requests.get(url, headers={"Accept": "text/html"}, timeout=30, allow_redirects=False)
    program = requests.get(url, timeout=30, allow_redirects=False)

    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "make open" in page.text
    assert (program.status_code, program.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert "make open" in program.json()["message"]


@pytest.mark.parametrize("path", _PAGES)
def test_a_page_refuses_other_principals_and_tokens_that_are_wrong(
    cloud: Cloud, azure: AzureSession, other_principal: dict[str, str], path: str
) -> None:
    url = f"{cloud.settings.gateway_url}{path}"
    storage = azure.credential.get_token("https://storage.azure.com/.default").token

    other = requests.get(url, headers=other_principal, timeout=30, allow_redirects=False)
    wrong = requests.get(url, headers={"Authorization": "Bearer wrong"}, timeout=30, allow_redirects=False)
    misdirected = requests.get(url, headers={"Authorization": f"Bearer {storage}"}, timeout=30, allow_redirects=False)

    assert (other.status_code, other.json()["error_code"]) == (403, "AuthorizationFailed")
    assert (wrong.status_code, wrong.json()["error_code"]) == (401, "InvalidAuthenticationToken")
    assert (misdirected.status_code, misdirected.json()["error_code"]) == (401, "InvalidAuthenticationTokenAudience")


def test_the_deployer_s_own_token_opens_pages_for_programs(cloud: Cloud, azure: AzureSession) -> None:
    answer = requests.get(f"{cloud.settings.gateway_url}{_JOBS}", headers=_deployer(azure), timeout=30)

    assert answer.status_code == 200
    assert "Azure ML jobs" in answer.text


def test_a_link_opens_one_session_whose_cookie_scripts_and_other_sites_cannot_use(
    cloud: Cloud, azure: AzureSession
) -> None:
    link = _link(cloud)
    preview = requests.head(link, timeout=30, allow_redirects=False)

    first = requests.get(link, timeout=30, allow_redirects=False)
    second = requests.get(link, timeout=30, allow_redirects=False)

    assert "set-cookie" not in preview.headers, "a preview of the link leaves it as it is"
    assert (first.status_code, first.headers["location"]) == (303, _JOBS)
    name, *attributes = first.headers["set-cookie"].split("; ")
    assert name.startswith(f"__Host-localcloud-{cloud.settings.gateway_port}=")
    assert {attribute.lower() for attribute in attributes} == {
        "secure", "httponly", "samesite=strict", "path=/", "max-age=43200",
    }  # fmt: skip
    assert (first.headers["cache-control"], first.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert (second.status_code, "set-cookie" in second.headers) == (403, False)
    assert "was used already" in second.text


def test_a_session_opens_every_page(cloud: Cloud, browser: requests.Session) -> None:
    answers = {path: browser.get(f"{cloud.settings.gateway_url}{path}", timeout=30) for path in _PAGES}

    expected = {path: 404 if "/runs/" in path else 200 for path in _PAGES}  # there are no such runs
    assert {path: answer.status_code for path, answer in answers.items()} == expected
    assert answers["/_localcloud/mlflow"].url == f"{cloud.settings.gateway_url}/_localcloud/mlflow/"
    assert "<title>MLflow</title>" in answers["/_localcloud/mlflow/"].text


def test_mlflow_s_page_loads_its_scripts_through_the_gateway(cloud: Cloud, browser: requests.Session) -> None:
    address = f"{cloud.settings.tracking_url}/"
    script = browser.get(address, timeout=30).text.split('src="')[1].split('"')[0]

    answer = browser.get(f"{address}{script}", timeout=30)

    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize("host", ["evil.example:{port}", "localhost", "localhost:1", "management.azure.com"])
def test_pages_answer_only_to_their_own_host(cloud: Cloud, browser: requests.Session, host: str) -> None:
    name = host.format(port=cloud.settings.gateway_port)

    for path in (_JOBS, "/_localcloud/mlflow/", "/_localcloud/open?token=x"):
        status, text = _request(cloud, "GET", path, Host=name, Cookie=_cookie(browser))
        assert status in {403, 404, 501}, (name, path, text)
        assert "Azure ML jobs" not in text and "<title>MLflow" not in text
    if name.startswith("localhost"):
        assert "Pages are at" in text


@pytest.mark.parametrize("origin", ["https://evil.example", "https://localhost:1", "http://localhost:{port}", "null"])
def test_pages_of_other_origins_neither_read_nor_write(cloud: Cloud, browser: requests.Session, origin: str) -> None:
    sent = {
        "Host": f"localhost:{cloud.settings.gateway_port}", "Cookie": _cookie(browser),
        "Origin": origin.format(port=cloud.settings.gateway_port),
    }  # fmt: skip

    for method, path in (("GET", _JOBS), ("POST", _CREATE), ("POST", "/_localcloud/sign-in-links")):
        status, text = _request(cloud, method, path, **sent)
        assert (status, "are refused" in text) == (403, True), (method, path, text)


def test_a_session_changes_mlflow_only_from_its_own_page(cloud: Cloud, browser: requests.Session) -> None:
    url = f"{cloud.settings.gateway_url}{_CREATE}"
    name = unique("by-page-")

    without_origin = browser.post(url, json={"name": name}, timeout=30)
    own_page = browser.post(url, json={"name": name}, headers={"Origin": cloud.settings.gateway_url}, timeout=30)

    assert (without_origin.status_code, without_origin.json()["error_code"]) == (403, "FORBIDDEN")
    assert "Origin" in without_origin.json()["message"]
    assert own_page.status_code == 200, own_page.text


def test_only_the_deployer_gets_links(
    cloud: Cloud, azure: AzureSession, browser: requests.Session, other_principal: dict[str, str]
) -> None:
    url = f"{cloud.settings.gateway_url}/_localcloud/sign-in-links"
    tracking = {"Authorization": f"Bearer {cloud.environment['MLFLOW_TRACKING_TOKEN']}"}

    nobody = requests.post(url, timeout=30)
    other = requests.post(url, headers=other_principal, timeout=30)
    tracker = requests.post(url, headers=tracking, timeout=30)
    session = browser.post(url, headers={"Origin": cloud.settings.gateway_url}, timeout=30)
    deployer = requests.post(url, headers=_deployer(azure), timeout=30)

    assert (nobody.status_code, other.status_code, tracker.status_code, session.status_code) == (401, 403, 401, 401)
    assert other.json()["error"]["code"] == "AuthorizationFailed"
    assert (deployer.status_code, deployer.headers["cache-control"]) == (200, "no-store")


def test_no_log_holds_a_link_s_token_or_a_session(cloud: Cloud, azure: AzureSession) -> None:
    link = _link(cloud)
    with requests.Session() as session:
        session.get(link, timeout=30)
        secrets = {"link": link.split("token=")[1], "session": _cookie(session).split("=", 1)[1]}
    secrets["tracking token"] = cloud.environment["MLFLOW_TRACKING_TOKEN"]
    secrets["gateway key"] = (cloud.settings.home / "mlflow" / "gateway-key").read_text()

    folder = cloud.settings.logs
    files = [file for file in folder.rglob("*") if file.is_file()]
    logs = {str(file.relative_to(folder)): file.read_text(errors="replace") for file in files}

    assert "/_localcloud/open" in logs["gateway.log"], "the request itself is logged"
    assert [(name, log) for name, secret in secrets.items() for log, text in logs.items() if secret in text] == []


@pytest.mark.parametrize("variable", ["CI", "TF_BUILD"])
def test_open_prints_no_link_where_logs_keep_it(cloud: Cloud, variable: str) -> None:
    completed = cloud.command("open", **_PERSON | {variable: "True"})

    assert (completed.returncode, completed.stdout) == (1, "")
    assert f"{variable} is set" in completed.stderr


def test_open_names_the_command_to_start_localcloud(cloud: Cloud, tmp_path: object) -> None:
    completed = cloud.command("open", **_PERSON, LOCALCLOUD_HOME=f"{tmp_path}/nothing")

    assert (completed.returncode, completed.stdout) == (1, "")
    assert "localcloud start" in completed.stderr


@pytest.mark.parametrize("key", [None, "wrong", "gateway-key"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/api/3.0/mlflow/workspaces"),
        ("POST", "/api/2.0/mlflow/experiments/create"),
        ("DELETE", "/_localcloud/default"),
    ],
)
@pytest.mark.usefixtures("tracking")
def test_mlflow_s_own_port_accepts_only_the_gateway(cloud: Cloud, method: str, path: str, key: str | None) -> None:
    headers = {"X-MLFLOW-WORKSPACE": "default"} | ({} if key is None else {"X-Localcloud-Gateway-Key": key})

    answer = requests.request(
        method, f"{cloud.settings.mlflow_url}{path}", json={"name": "x"}, headers=headers, timeout=30
    )

    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.usefixtures("tracking")
def test_another_user_of_the_machine_reads_neither_mlflow_s_key_nor_its_port(cloud: Cloud) -> None:
    nobody = pwd.getpwnam("nobody")
    script = (
        f"import pathlib, urllib.error, urllib.request\n"
        f"for path in {[str(cloud.settings.home / 'mlflow' / 'gateway-key'), f'/proc/{_mlflow(cloud)}/environ']}:\n"
        f"    try:\n        print(pathlib.Path(path).read_text())\n"
        f"    except PermissionError:\n        print('denied')\n"
        f"try:\n    urllib.request.urlopen('{cloud.settings.mlflow_url}/health', timeout=10)\n"
        f"except urllib.error.HTTPError as error:\n    print(error.code)\n"
    )

    completed = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", script], user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
        env={"PATH": os.environ["PATH"]}, cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert completed.stdout.split() == ["denied", "denied", "401"], completed.stderr


def _mlflow(cloud: Cloud) -> int:
    running = instance.running(cloud.settings)
    assert running is not None
    processes = psutil.Process(running.pid).children()
    (server,) = (process for process in processes if "localcloud.azureml.mlflow.server" in process.cmdline())
    key = (cloud.settings.home / "mlflow" / "gateway-key").read_text()
    assert key not in " ".join(server.cmdline()), "all users of a machine see the words of commands"
    return server.pid


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/_localcloud/mlflow/_localcloud/default", 501),
        ("/_localcloud/mlflow/%5Flocalcloud/default", 501),
        ("/_localcloud/mlflow/api/../_localcloud/default", 400),
        ("/_localcloud/mlflow/api/%2e%2e/_localcloud/default", 400),
        ("/%5Flocalcloud/mlflow/health", 400),
    ],
)
def test_operations_reserved_for_the_gateway_are_not_reached_through_it(
    cloud: Cloud, azure: AzureSession, path: str, status: int
) -> None:
    host = f"localhost:{cloud.settings.gateway_port}"
    sent = {"Host": host, "X-MLFLOW-WORKSPACE": "default"} | _deployer(azure)

    assert _request(cloud, "DELETE", path, **sent)[0] == status


def test_mlflow_s_client_of_a_fresh_shell_writes_reads_and_deletes(cloud: Cloud, azure: AzureSession) -> None:
    client = mlflow.MlflowClient(cloud.environment["MLFLOW_TRACKING_URI"])
    experiment = client.create_experiment(unique("shell-"))

    run = client.create_run(experiment)
    client.log_metric(run.info.run_id, "score", 0.5)
    client.delete_run(run.info.run_id)

    assert client.get_run(run.info.run_id).data.metrics == {"score": 0.5}
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"


def test_mlflow_s_client_without_the_token_gets_a_message_that_names_make_open(
    cloud: Cloud, azure: AzureSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    client = mlflow.MlflowClient(cloud.environment["MLFLOW_TRACKING_URI"])

    with pytest.raises(MlflowException, match="make open"):
        client.create_experiment(unique("nobody-"))


def test_a_run_s_page_at_the_workspace_leads_to_the_guarded_one(cloud: Cloud, azure: AzureSession) -> None:
    answer = requests.get("https://adb-1.1.azuredatabricks.net/jobs/runs/12", timeout=30, allow_redirects=False)

    assert answer.status_code == 302
    assert answer.headers["location"] == f"{cloud.settings.gateway_url}/_localcloud/databricks/runs/12"


def test_the_files_with_keys_are_the_user_s_alone(cloud: Cloud) -> None:
    for name in ("deployer.json", "mlflow/gateway-key"):
        assert (cloud.settings.home / name).stat().st_mode & 0o777 == 0o600, name
