"""The scoring version: after promotions, rollbacks and publications, and after a promotion whose sample fails."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.workspace_session import ML
from rich.console import Console

from mlops import episodes, incoming_files, jobs, promote, publish, rollback, scoring, trial
from mlops.clients import Clients
from mlops.components.score.src.ledger import FIRST, Entry, Refusal, RunRecord
from mlops.components.take_files.src.incoming import blob_key
from mlops.components.watch.src.watch_history import WatchHistory
from mlops.errors import GateError, MissingError, RefusedError
from mlops.jobs import Job
from mlops.promote import Promotion
from mlops.scoring_runs import Results, Scorer, model_ledger
from mlops.terminal import console
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack


@pytest.fixture(scope="module")
def staging(azure: AzureSession) -> Iterator[Stack]:
    """Trained two versions, with the commits commit-1 and commit-2."""
    stack = make_stack(azure, "staging", None)
    yield stack
    remove_stack(stack)


@pytest.fixture
def prod(azure: AzureSession) -> Iterator[Stack]:
    stack = make_stack(azure, "prod", None)
    yield stack
    remove_stack(stack)


@pytest.fixture(scope="module")
def tested(staging: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        staging.publish(version, f"commit-{version}")
        staging.train(version, f"commit-{version}", folder)
    return staging


def _promote(tested: Stack, prod: Stack, version: str, *, tried: bool = False) -> Promotion:
    messages: list[str] = []
    promotion = promote.promote(tested.clients, prod.clients, version, messages.append)
    if tried:
        trial.try_promotion(prod.clients, promotion, messages.append, console(stderr=True))
    return promotion


def test_the_version_that_scores_follows_promotion_and_rollback(tested: Stack, prod: Stack) -> None:
    with pytest.raises(MissingError, match=r"No version of diabetes serves on prod, so that nothing can score"):
        scoring.find_scorer(prod.clients)
    for version in ("1", "2"):
        prod.publish(version, f"commit-{version}", keep_default=True)
        _promote(tested, prod, version)
        assert scoring.find_scorer(prod.clients) == Scorer(version, f"s-{version}")

    rollback.rollback(prod.clients, print)
    assert scoring.find_scorer(prod.clients) == Scorer("1", "s-1")

    prod.publish("3", "commit-3")
    assert prod.default == "v-3"
    assert scoring.find_scorer(prod.clients) == Scorer("1", "s-1"), "a publication is no promotion"
    assert [known.deployment for known in publish.deployments(prod.clients)] == ["v-1", "v-2", "v-3"]
    assert jobs.newest(prod.clients) is None


@pytest.mark.nightly
def test_a_promotion_whose_sample_is_not_scored_is_taken_back(tested: Stack, prod: Stack) -> None:
    prod.publish("1", "commit-1", keep_default=True)
    message = r"Version 1 of diabetes was promoted and did not score a sample, so that the promotion was taken back"
    with pytest.raises(GateError, match=message):
        _promote(tested, prod, "1", tried=True)
    assert "rolled_back_at" in prod.models()["1"], "the first promotion has nothing to go back to"
    assert jobs.newest(prod.clients) is None, "a scoring run is none of the training's"

    _promote(tested, prod, "1")
    prod.publish("2", "commit-2", keep_default=True)
    with pytest.raises(GateError, match=r"and the ledger has no entry of sample\.csv"):
        _promote(tested, prod, "2", tried=True)
    assert prod.default == "v-1"
    assert "rolled_back_at" in prod.models()["2"]
    assert scoring.find_scorer(prod.clients) == Scorer("1", "s-1")


@pytest.mark.nightly
def test_a_version_that_scored_its_sample_once_stays_when_a_later_one_fails(tested: Stack, prod: Stack) -> None:
    prod.publish("1", "commit-1", keep_default=True)
    promotion = _promote(tested, prod, "1")
    model = prod.clients.ml.models.get(prod.clients.pipeline.model, promotion.model_version)
    promote.tag(prod.clients.ml, model, {trial.TRIED: promote.stamp()})

    with pytest.raises(GateError, match="It serves on, since it scored a sample when it was promoted"):
        _promote(tested, prod, "1", tried=True)
    assert "rolled_back_at" not in prod.models()["1"]


def test_a_deployment_that_was_published_without_scoring_is_named(
    tested: Stack, prod: Stack, azure: AzureSession
) -> None:
    prod.publish("1", "commit-1", keep_default=True)
    _promote(tested, prod, "1")
    beside = f"{prod.workspace.id}/batchEndpoints/{prod.clients.endpoint}/deployments/s-1"
    azure.finish(azure.arm("DELETE", beside, ML))

    with pytest.raises(
        MissingError, match="The deployment v-1, with which version 1 of diabetes serves, was published"
    ):
        scoring.find_scorer(prod.clients)


class _Files:
    """Files of the input folder, and the results of a run's steps for them."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.model, self.folder = clients.pipeline.model, clients.pipeline.score.input
        self.ledger = model_ledger(clients)
        self._out = io.StringIO()
        self.console = Console(file=self._out, width=200)

    @property
    def printed(self) -> str:
        return self._out.getvalue()

    def leave(self, name: str, text: str) -> str:
        """Leave a file whose content a run has read; return its version."""
        self.clients.training.upload_blob(f"{self.folder}/{name}", text.encode(), overwrite=True)
        return self.know(f"{self.folder}/{name}", text)

    def know(self, blob: str, text: str) -> str:
        """Note the content of a blob as a run does that has read it; return its version."""
        version = hashlib.sha256(text.encode()).hexdigest()
        etag = str(self.clients.training.get_blob_client(blob).get_blob_properties()["etag"])
        self.ledger.know(blob_key(blob, etag), version)
        return version

    def entry(self, version: str, name: str, run: str, attempt: str = FIRST) -> None:
        entry = Entry(
            file_version=version, file_name=name, attempt=attempt, run=run, model=self.model, model_version="2",
            code_version="2", scored_at="2026-11-29T12:00:00+00:00", staged="none", output="scoring/out/x",
            quarantine=None, rows_read=9, rows_scored=9, rows_refused=0, reasons={},
        )  # fmt: skip
        self.ledger._make(entry)

    def refusal(self, version: str, name: str, run: str) -> Refusal:
        return self.ledger.refuse(
            Refusal(
                file_version=version, file_name=name, attempt=FIRST, run=run, model=self.model, model_version="2",
                code_version="2", refused_at="2026-11-29T12:00:00+00:00", reason="the header lacks bmi",
                quarantine="scoring/quarantine/x/refused.json", rows_read=0, rows_refused=0,
            )
        )  # fmt: skip

    def score(self, steps: Callable[[Job], None] | None = None) -> Results:
        return incoming_files.score(self.clients, self.console, started=steps)


def test_refused_files_are_listed_and_left_alone_until_they_change(tested: Stack) -> None:
    files = _Files(tested.clients)
    good, bad = files.leave("good.csv", "good"), files.leave("bad.csv", "bad")
    runs: list[str] = []

    def steps(job: Job) -> None:
        runs.append(job.name)
        files.entry(good, "good.csv", job.name)
        files.refusal(bad, "bad.csv", job.name)
        files.ledger.record(RunRecord(job.name, FIRST, (good,), (), 0, (bad,)))
        history = WatchHistory(tested.clients.training, files.model)
        history.note_followed(job.name, "retraining-diabetes-000001 started run tr-1 on incoming/new.csv")

    results = files.score(steps)

    with pytest.raises(RefusedError, match=r"^Refused:\nbad\.csv: the header lacks bmi\n") as refused:
        results.check()
    assert refused.value.exit_code == 3
    assert [item["status"] for item in results.as_json()] == ["scored", "refused"]
    assert "1 file scored, 1 refused." in files.printed
    assert f"bad.csv: refused as a whole, by version 2 of diabetes (run {runs[0]}, " in files.printed
    assert "After breaches: retraining-diabetes-000001 started run tr-1 on incoming/new.csv." in files.printed
    assert "`python -m mlops logs --run RUN --stack staging --pipeline diabetes` one." in files.printed

    (episode,) = episodes.refused(tested.clients)
    assert episode.title == "1 file was refused when diabetes scored on stack staging"
    assert "bad.csv (the header lacks bmi)" in episode.text and episode.tag.endswith(runs[0])

    later = files.score(lambda job: pytest.fail("nothing waits"))
    later.check()
    assert [refusal.file_name for refusal in later.refused_before] == ["bad.csv"]
    assert f"bad.csv was refused by run {runs[0]}: the header lacks bmi. It is left alone" in files.printed
    files.leave("bad.csv", "mended")
    assert episodes.refused(tested.clients) == []


def test_a_named_file_that_was_refused_is_not_run_again_without_being_asked(tested: Stack, tmp_path: Path) -> None:
    files = _Files(tested.clients)
    file = tmp_path / "named.csv"
    file.write_text("a\n1\n")
    data = scoring.read(file)

    def steps(job: Job) -> None:
        files.refusal(data.sha256, "named.csv", job.name)
        files.ledger.record(RunRecord(job.name, FIRST, (), (), 0, (data.sha256,)))

    first = scoring.score(tested.clients, data, files.console, started=steps)
    again = scoring.score(tested.clients, data, files.console, started=lambda job: pytest.fail("it is known"))

    assert first == again and first.refusals
    with pytest.raises(RefusedError, match=r"named\.csv: the header lacks bmi"):
        again.check()
    assert "named.csv was refused already: --again tries it again." in files.printed


def test_a_file_that_is_delivered_again_is_named_with_the_run_that_scored_it(tested: Stack) -> None:
    files = _Files(tested.clients)
    content = f"delivered {uuid.uuid4()}"
    first, second, third = (f"{files.folder}/{name}.csv" for name in ("first", "second", "third"))
    runs: list[str] = []

    def deliver(*names: str) -> None:
        for name in names:
            tested.clients.training.upload_blob(name, content.encode(), overwrite=True)

    def steps(job: Job) -> None:
        runs.append(job.name)
        versions = {files.know(name, content) for name in (first, second, third)}
        scored = tuple(versions) if len(runs) == 1 else ()
        for version in scored:
            files.entry(version, first, job.name)
        files.ledger.record(RunRecord(job.name, FIRST, scored, (), 0))

    deliver(first, second, third)
    files.score(steps)
    for name in (second, third):
        assert f"{name} has the content of {first}, and is scored with it." in files.printed

    deliver(first, third)
    again = files.score(steps)
    for name in (first, third):
        line = f"{name} was scored already, as {first} by run {runs[0]}: --again scores it again."
        assert line in files.printed
    assert [entry.run for entry in again.entries if entry.file_name == first][-1] == runs[0]


def test_a_file_that_another_run_scored_meanwhile_is_not_counted_as_this_run_s(tested: Stack) -> None:
    files = _Files(tested.clients)
    version = files.leave("twice.csv", f"taken by two runs {uuid.uuid4()}")

    def steps(job: Job) -> None:
        files.entry(version, f"{files.folder}/twice.csv", "batchjob-other")
        files.ledger.record(RunRecord(job.name, FIRST, (version,), (), 0))

    files.score(steps)

    assert "0 files scored, 0 refused, 1 scored by another run meanwhile." in files.printed


def test_a_folder_of_empty_files_starts_no_run(tested: Stack) -> None:
    files = _Files(tested.clients)
    empty = f"{files.folder}/empty.csv"
    for other in tested.clients.training.list_blobs(name_starts_with=f"{files.folder}/"):
        tested.clients.training.delete_blob(other.name)
    tested.clients.training.upload_blob(empty, b"")

    files.score(lambda job: pytest.fail("there is nothing to score"))

    assert f"{empty} is empty, and left where it is." in files.printed
