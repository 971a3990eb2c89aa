"""Comments on pull requests and work items, through HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.agent import devops
from pipelines.agent.devops import DevOpsError
from tests.unit.http_service import Service
from tests.unit.pipelines.azure_devops import TOKEN, AzureDevOps

ROOT = Path(__file__).resolve().parents[3]
_DRIFTED = (
    "Drift: azure-native:storage:StorageAccount data: update\n1 difference of stack dev that should not be there.\n"
)


@pytest.fixture
def service() -> AzureDevOps:
    return AzureDevOps()


@pytest.fixture(autouse=True)
def build(service: AzureDevOps, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a pull request's build; return the address of its project."""
    with Service(service.serve) as running:
        variables = {
            "SYSTEM_COLLECTIONURI": f"{running.url}/org/",
            "SYSTEM_TEAMPROJECTID": "9c1f4f8e-project",
            "SYSTEM_PULLREQUEST_PULLREQUESTID": "17",
            "SYSTEM_ACCESSTOKEN": TOKEN,
            "BUILD_REPOSITORY_ID": "repo-1",
            "BUILD_REPOSITORY_PROVIDER": "TfsGit",
            "BUILD_BUILDID": "4711",
            "SYSTEM_STAGEATTEMPT": "2",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield f"{running.url}/org/9c1f4f8e-project"


@pytest.fixture
def preview(tmp_path: Path) -> Path:
    file = tmp_path / "preview-dev.txt"
    file.write_text("Previewing update (dev):\n    + 38 to create\n", encoding="utf-8")
    return file


def test_a_preview_becomes_a_closed_thread_whose_address_is_for_people(
    service: AzureDevOps, preview: Path, build: str
) -> None:
    text = devops.comment("dev", preview)

    (thread,) = service.threads
    assert text == f"{build}/_git/repo-1/pullrequest/17?discussionId={thread['id']}"
    assert thread["status"] == "closed", "an open thread would hold up the pull request"
    content = thread["comments"][0]["content"]
    assert "**Preview of `dev`**" in content
    assert "    + 38 to create" in content


def test_the_next_push_renews_the_comment_and_leaves_other_threads_alone(service: AzureDevOps, preview: Path) -> None:
    others = [service.add_thread("please rename this", "done"), service.add_thread(deleted=True)]
    first = devops.comment("dev", preview)
    devops.comment("staging", preview)
    preview.write_text("Previewing update (dev):\n    38 unchanged\n", encoding="utf-8")

    assert devops.comment("dev", preview) == first
    assert len(service.threads) == len(others) + 2
    texts = [thread["comments"][0]["content"] for thread in service.threads[2:]]
    assert ["38 unchanged" in text for text in texts] == [True, False]
    assert [comment["content"] for comment in others[0]["comments"]] == ["please rename this", "done"]


def test_a_deleted_comment_is_made_anew(service: AzureDevOps, preview: Path) -> None:
    thread = service.add_thread("<!-- preview of dev -->", deleted=True)

    devops.comment("dev", preview)

    assert len(service.threads) == 2
    assert thread["comments"] == [{"id": 1, "isDeleted": True}]


def test_a_preview_that_never_began_is_reported_as_missing(service: AzureDevOps, tmp_path: Path) -> None:
    devops.comment("prod", tmp_path / "none.txt")

    assert "The preview did not come to its end." in service.threads[0]["comments"][0]["content"]


def test_fences_in_a_preview_do_not_end_the_block(service: AzureDevOps, preview: Path) -> None:
    preview.write_text("description: ```\n<b>not markup</b>\n````\n", encoding="utf-8")

    devops.comment("dev", preview)

    lines = service.threads[0]["comments"][0]["content"].splitlines()
    assert [line for line in lines if line == "`````"] == ["`````", "`````"]
    assert lines[-1] == "`````"


def test_a_long_preview_keeps_its_end_and_counts_the_rest(service: AzureDevOps, preview: Path) -> None:
    lines = [f"resource {number:06}" for number in range(20_000)]
    preview.write_text("\n".join(lines), encoding="utf-8")

    devops.comment("dev", preview)

    content = service.threads[0]["comments"][0]["content"]
    assert len(content) < 150_000, "Azure DevOps takes no longer comment"
    tail = [line for line in content.splitlines() if line.startswith("resource ")]
    assert tail == lines[-len(tail) :]
    left_out = len("\n".join(lines)) - len("\n".join(tail))
    assert f"… {left_out} characters before this are left out" in content


def test_drift_opens_one_work_item_until_it_is_done(service: AzureDevOps, preview: Path, build: str) -> None:
    preview.write_text(_DRIFTED.replace("Account", "<Account> & more"), encoding="utf-8")

    first = devops.work_item("prod", preview)
    again = devops.work_item("prod", preview)
    service.items[0]["fields"]["System.State"] = "Done"
    later = devops.work_item("prod", preview)

    assert first == again == f"{build}/_workitems/edit/900"
    assert later == f"{build}/_workitems/edit/901"
    fields = service.items[0]["fields"]
    assert fields["System.Title"] == "Drift of stack prod"
    assert "Storage&lt;Account&gt; &amp; more" in fields["System.Description"]
    assert f'href="{build}/_build/results?buildId=4711"' in fields["System.Description"]


def test_an_episode_gets_one_work_item_however_often_a_build_sees_it(
    service: AzureDevOps, tmp_path: Path, build: str
) -> None:
    file = tmp_path / "episodes.json"
    first = {
        "tag": "dataopsml-schedule-dev-a-1",
        "title": "The schedule a runs nothing",
        "text": "its <target> is gone",
    }
    file.write_text(json.dumps([first]), encoding="utf-8")

    assert devops.work_items(file) == [f"{build}/_workitems/edit/900"]
    service.items[0]["fields"]["System.State"] = "Done"
    file.write_text(json.dumps([first, first | {"tag": "dataopsml-schedule-dev-a-2"}]), encoding="utf-8")
    assert devops.work_items(file) == [f"{build}/_workitems/edit/{number}" for number in (900, 901)]
    assert devops.work_items(file) == [f"{build}/_workitems/edit/{number}" for number in (900, 901)]

    assert [item["fields"]["System.Tags"] for item in service.items] == [
        "dataopsml-schedule-dev-a-1", "dataopsml-schedule-dev-a-2",
    ]  # fmt: skip
    description = service.items[0]["fields"]["System.Description"]
    assert "its &lt;target&gt;" in description and f'href="{build}/_build/results?buildId=4711"' in description


def test_a_tag_that_would_change_the_query_is_refused_before_anything_is_opened(
    service: AzureDevOps, tmp_path: Path
) -> None:
    file = tmp_path / "episodes.json"
    good = {"tag": "dataopsml-a", "title": "t", "text": "x"}
    file.write_text(json.dumps([good, good | {"tag": "a' OR '1' = '1"}]), encoding="utf-8")

    with pytest.raises(DevOpsError, match=r"is no tag of an episode: it has letters, digits and \._- alone"):
        devops.work_items(file)
    assert service.items == []


@pytest.mark.parametrize("text", ["error: failed to sign in: AADSTS700016\n", None])
def test_a_check_that_could_not_compare_is_not_called_drift(
    service: AzureDevOps, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "drift-dev.txt"
    if text is not None:
        file.write_text(text, encoding="utf-8")

    devops.work_item("dev", file)

    assert [item["fields"]["System.Title"] for item in service.items] == ["The drift check of stack dev failed"]


@pytest.mark.parametrize("status", [203, 302, 401])
def test_a_refused_token_is_distinguished_from_a_missing_permission(
    service: AzureDevOps, preview: Path, status: int
) -> None:
    service.sign_in = status

    with pytest.raises(DevOpsError) as caught:
        devops.comment("dev", preview)

    assert f": {status}. The token was not taken" in str(caught.value)
    assert "html" not in str(caught.value)


def test_a_missing_permission_is_named_with_azure_devops_own_words(service: AzureDevOps, preview: Path) -> None:
    service.forbidden = True

    with pytest.raises(DevOpsError) as caught:
        devops.comment("dev", preview)

    assert "403. TF401027: You need the Git 'PullRequestContribute'." in str(caught.value)
    assert "needs the permission: contribute to pull requests" in str(caught.value)


def test_a_pull_request_that_is_not_there_is_named(preview: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_PULLREQUEST_PULLREQUESTID", "18")

    with pytest.raises(DevOpsError, match=r"pullRequests/18/threads: 404\. .*There is no such thing"):
        devops.comment("dev", preview)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((503, "text/html", "<html>busy</html>"), r"/threads: 503\. $"),
        ((200, "application/json", "{"), "200, but the answer is no JSON"),
        ((200, "application/json", "[]"), r"/threads: 200\. $"),
    ],
)
def test_an_unreadable_answer_is_an_error_of_one_line(
    service: AzureDevOps, preview: Path, answer: tuple[int, str, str], message: str
) -> None:
    service.broken.append(answer)

    with pytest.raises(DevOpsError, match=message):
        devops.comment("dev", preview)

    assert service.threads == []


def test_a_missing_answer_is_an_error(preview: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_COLLECTIONURI", "http://127.0.0.1:9/org/")

    with pytest.raises(DevOpsError, match=r"no answer: .*refused"):
        devops.comment("dev", preview)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("SYSTEM_ACCESSTOKEN", r"Map it: env: \{SYSTEM_ACCESSTOKEN: \$\(System\.AccessToken\)\}"),
        ("SYSTEM_PULLREQUEST_PULLREQUESTID", "SYSTEM_PULLREQUEST_PULLREQUESTID is not set"),
        ("BUILD_REPOSITORY_PROVIDER", "BUILD_REPOSITORY_PROVIDER is not set"),
    ],
)
def test_a_variable_that_is_missing_is_named(
    service: AzureDevOps, preview: Path, monkeypatch: pytest.MonkeyPatch, missing: str, message: str
) -> None:
    monkeypatch.delenv(missing)

    with pytest.raises(DevOpsError, match=message):
        devops.comment("dev", preview)

    assert service.threads == []


def test_a_repository_outside_of_azure_repos_gets_no_request(
    service: AzureDevOps, preview: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_REPOSITORY_PROVIDER", "GitHub")

    with pytest.raises(DevOpsError, match=r"of GitHub.*artifact preview-dev-2\."):
        devops.comment("dev", preview)
    stage = (ROOT / "pipelines/stages/preview.yml").read_text(encoding="utf-8")
    assert "artifact: preview-${{ parameters.environment }}-$(System.StageAttempt)" in stage

    assert service.calls == []


@pytest.mark.parametrize("case", ["accepted", "forbidden", "sign in", "broken"])
def test_the_command_line_fails_with_one_line_and_never_shows_the_token(
    service: AzureDevOps, preview: Path, case: str
) -> None:
    service.forbidden, service.sign_in = case == "forbidden", 203 if case == "sign in" else None
    if case == "broken":
        # A proxy that answers with the received request.
        service.broken.append((502, "text/plain", f"Authorization: Bearer {TOKEN}"))

    completed = subprocess.run(
        [sys.executable, "-m", "pipelines.agent", "comment", "dev", str(preview)],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert TOKEN not in completed.stdout + completed.stderr
    if case == "accepted":
        assert (completed.returncode, completed.stderr) == (0, "")
        assert "pullrequest/17?discussionId=100" in completed.stdout
    else:
        assert completed.returncode == 1
        assert len(completed.stderr.splitlines()) == 1 and completed.stderr.startswith("Error: GET http"), (
            completed.stderr
        )
