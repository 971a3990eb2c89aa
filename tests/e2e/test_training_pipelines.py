"""A person's own model: made from a CSV file, trained, changed; and the second pipeline beside the first."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from tests.e2e.conftest import ROOT, Machine, Result, free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.models]
STEPS = ("feature_engineering", "check_data", "train", "evaluate", "register")
_VERSIONS = """
import json, subprocess, sys
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential
outputs = json.loads(subprocess.check_output(["pulumi", "stack", "output", "--json", "-s", "local"]))
names = (outputs[name] for name in ("subscription_id", "resource_group", "workspace_name"))
client = MLClient(DefaultAzureCredential(), *names)
models = {model.version: model.tags for model in client.models.list(name=sys.argv[1])}
endpoints = {endpoint.name: (endpoint.defaults.deployment_name or "") for endpoint in client.batch_endpoints.list()}
print(json.dumps({"models": models, "endpoints": endpoints}))
"""

_READ_TABLE = """
import json, sys
from deltalake import DeltaTable
rows = DeltaTable(sys.argv[1]).to_pandas()  # signed in by the variables of the shell
print(json.dumps(rows.groupby("input_file").size().sort_index().to_dict()))
"""


_ROOMS = '"rooms""); raise SystemExit(""x"'
_FLATS = "".join(f"{rooms},edge,{50 + rooms}\n" for rooms in range(1, 12)) + "3,edge,\n"
"""Flats without prices; the last one lacks its size."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Make a checkout of the person's own, in which files may be made."""
    folder = tmp_path_factory.mktemp("own")
    checkout = folder / "checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    machine = Machine(home=folder / "localcloud", port=free_ports(), checkout=checkout)
    yield machine
    replace(machine, checkout=ROOT).make("down")
    replace(machine, checkout=ROOT).make("clean")


def registered(machine: Machine, model: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the tags of the model's versions, and the default deployments of the endpoints."""
    completed = machine.python(_VERSIONS, model)
    assert completed.code == 0, completed.text
    seen = json.loads(completed.text.strip().splitlines()[-1])
    return seen["models"], seen["endpoints"]


def trained(result: Result) -> None:
    assert result.code == 0, result.text
    for step in STEPS:
        assert re.search(rf"{step}\b.*Completed", result.text), result.text


@pytest.fixture(scope="module")
def new_pipeline(own: Machine, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Make a pipeline from a CSV file with text, missing values and a column that is named like code."""
    chance = random.Random(4)  # noqa: S311
    file = tmp_path_factory.mktemp("data") / "my flats.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["size", "district", 'rooms"); raise SystemExit("x', "price"])
        for index in range(300):
            size, rooms = chance.uniform(20, 150), chance.randint(1, 6)
            price = 3000 * size + 9000 * rooms + (40000 if index % 3 == 0 else 0) + chance.gauss(0, 5000)
            district = "centre" if index % 3 == 0 else "edge"
            writer.writerow([f"{size:.1f}" if index % 50 else "", district, rooms, f"{price:.0f}"])
    new = own.run(".venv/bin/python", "-m", "mlops", "new", "flats", "--task", "regression", "--data", str(file))
    assert new.code == 0, new.text
    assert "Train it with: make up PIPELINE=flats" in new.text
    up = own.make("up", "PIPELINE=flats", timeout=1500)
    trained(up)
    return up


def test_a_pipeline_from_a_csv_file_trains_to_a_registered_model_at_once(own: Machine, new_pipeline: Result) -> None:
    models, endpoints = registered(own, "flats")

    assert list(models) == ["1"]
    assert float(models["1"]["metric.r2"]) > 0.9
    assert models["1"]["compared_with"] == "none"
    assert "Model flats version 1 is registered: it is the first version." in new_pipeline.text
    served = {name: default for name, default in endpoints.items() if default}
    assert len(served) == 1 and next(iter(served)).startswith("bep-flats-"), "the other pipelines are not published"


@pytest.mark.models
def test_an_endpoint_by_choice_answers_requests_which_no_update_of_the_stack_takes_away(
    own: Machine, new_pipeline: Result
) -> None:
    specification = own.checkout / "mlops/pipelines/flats/pipeline.yml"
    specification.write_text(f"{specification.read_text(encoding='utf-8')}serve: online\n", encoding="utf-8")
    up = own.make("up", "PIPELINE=flats")
    assert up.code == 0 and "Nothing changed since the last run" in up.text, "serving trains nothing again"
    assert "online: blue answers with version 1" in up.text, up.text
    request = own.home.parent / "request.json"
    row = {"size": 80, "district": "edge", 'rooms"); raise SystemExit("x': 3}
    request.write_text(json.dumps([row, row | {"district": "centre"}]), encoding="utf-8")

    invocation = own.make("invoke", "PIPELINE=flats", f"FILE={request}")

    assert invocation.code == 0, invocation.text
    edge, centre = json.loads(invocation.text[invocation.text.index("[") :])
    assert 200_000 < edge < 330_000 and centre > edge
    request.write_text(json.dumps({"sizes": 80, **row}), encoding="utf-8")
    refused = own.make("invoke", "PIPELINE=flats", f"FILE={request}")
    assert (
        refused.code != 0 and "has a field 'sizes', which the model does not take. Did you mean size?" in refused.text
    )
    preview = own.in_shell("pulumi", "preview", "--stack", "local", "--expect-no-changes")
    assert preview.code == 0, preview.text
    again = own.make("up", "PIPELINE=flats")
    assert again.code == 0 and "online: blue answers with version 1, unchanged" in again.text, again.text


def test_another_feature_is_judged_against_the_serving_version(own: Machine, new_pipeline: Result) -> None:
    library = own.checkout / "notebooks/lib/flats.py"
    text = library.read_text(encoding="utf-8")
    library.write_text(
        text.replace(
            'return rows.dropna(how="any")',
            'return rows.dropna(how="any").withColumn("large", (rows["size"] > 80).cast("int"))',
        ),
        encoding="utf-8",
    )
    assert library.read_text(encoding="utf-8") != text

    up = own.make("up", "PIPELINE=flats")

    trained(up)
    assert "cannot be compared" not in up.text
    assert re.search(r"rmse\s+\d+\.\d+\s+\(version 1: \d+\.\d+\)", up.text), "both are judged on the same rows"


def test_another_model_and_parameter_are_trained_without_other_changes(own: Machine, new_pipeline: Result) -> None:
    refused = own.make("run", "PIPELINE=flats", "PARAMS=alpha=-1")
    assert refused.code != 0 and "The parameter alpha: -1 is below the minimum" in refused.text
    unknown = own.make("run", "PIPELINE=flat")
    assert unknown.code != 0 and "Did you mean flats?" in unknown.text
    program = own.checkout / "mlops/pipelines/flats/components/train/src/train.py"
    text = program.read_text(encoding="utf-8")
    program.write_text(
        text.replace("from sklearn.linear_model import Ridge", "from sklearn.ensemble import GradientBoostingRegressor")
        .replace('Ridge(alpha=float(parameters["alpha"]))', "GradientBoostingRegressor(random_state=0)"),
        encoding="utf-8",
    )  # fmt: skip
    assert "GradientBoosting" in program.read_text(encoding="utf-8")

    up = own.make("up", "PIPELINE=flats", "PARAMS=alpha=0.5")

    trained(up)
    assert re.search(r"feature_engineering\b.*reused", up.text), "neither notebook nor data changed"
    assert not re.search(r"(train|evaluate|register)\b.*reused", up.text)


def test_own_metrics_and_own_packages_are_published(own: Machine, new_pipeline: Result) -> None:
    folder = own.checkout / "mlops/pipelines/flats"
    (folder / "metrics.py").write_text(
        "def largest_error(actual, predicted, rows):\n    return float(abs(actual - predicted).max())\n",
        encoding="utf-8",
    )
    content = yaml.safe_load((folder / "pipeline.yml").read_text(encoding="utf-8"))
    content["packages"] = [f"tenacity=={importlib.metadata.version('tenacity')}"]
    content["gate"]["metrics"].append({"name": "largest_error", "direction": "lower"})
    (folder / "pipeline.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    program = folder / "components/train/src/train.py"
    program.write_text(f"{program.read_text(encoding='utf-8')}\n\nimport tenacity  # noqa\n", encoding="utf-8")

    up = own.make("up", "PIPELINE=flats")

    trained(up)
    assert re.search(r"largest_error\s+\d+\.\d+", up.text), up.text
    assert "environment: dataopsml-training-flats version" in up.text
    assert "evaluate_flats" in up.text, "the shared component carries the pipeline's metrics"


def test_the_shipped_second_pipeline_registers_its_model_beside_the_others(own: Machine, new_pipeline: Result) -> None:
    early = own.make("score", "PIPELINE=breast_cancer", "FILE=data/breast_cancer.csv")
    assert early.code != 0 and "No version of breast_cancer serves on local, so that nothing" in early.text, early.text

    up = own.make("up", "PIPELINE=breast_cancer")

    trained(up)
    models, endpoints = registered(own, "breast_cancer")
    assert list(models) == ["1"] and float(models["1"]["metric.roc_auc"]) > 0.95
    assert sum(1 for default in endpoints.values() if default) == 2
    again = own.make("up", "PIPELINE=breast_cancer")
    assert again.code == 0 and "Nothing changed since the last run" in again.text, again.text


def test_both_models_score_files_once_and_report_refused_rows(own: Machine, new_pipeline: Result) -> None:
    new = own.home.parent / "new flats.csv"
    new.write_text(f"{_ROOMS},district,size\n{_FLATS}", encoding="utf-8")
    scored = own.make("score", "PIPELINE=flats", f"FILE={new}")
    assert scored.code == 0, scored.text
    assert "new flats.csv: 12 rows read, 11 scored, 1 refused, by version" in scored.text
    assert "1 refused: missing: size" in scored.text
    again = own.make("score", "PIPELINE=flats", f"FILE={new}")
    assert again.code == 0 and "was scored already: --again scores it again" in again.text, again.text

    second = own.in_shell(
        "python", "-m", "mlops", "score", "data/breast_cancer.csv", "--pipeline", "breast_cancer", "--json"
    )
    assert second.code == 0, second.text
    (entry,) = json.loads(second.text[second.text.index("\n[") :])
    assert entry["rows_scored"] == entry["rows_read"] and entry["model_version"] == "1"


def test_runs_versions_and_logs_are_shown(own: Machine, new_pipeline: Result) -> None:
    def mlops(*words: str) -> Result:
        return own.in_shell("python", "-m", "mlops", *words, "--pipeline", "flats")

    listed = mlops("runs", "--output", "json")
    assert listed.code == 0, listed.text
    runs = json.loads(listed.text)
    assert len(runs) == 4 and {run["parameters"]["alpha"] for run in runs} == {"1.0", "0.5"}
    reused = ["feature_engineering", "check_data"]
    assert [run["reused_steps"] for run in runs] == [[], reused, [], []], "another environment is another step"
    versions = json.loads(mlops("models", "--output", "json").text)
    assert [version["serves"] for version in versions].count(True) == 1
    compared = mlops("compare", runs[-1]["name"], runs[1]["name"])
    assert compared.code == 0 and "parameter alpha" in compared.text and "metric rmse" in compared.text, compared.text
    log = mlops("logs", "train")
    assert "rows are held out." in log.text, log.text
    page = own.home.parent / "report.html"
    reported = mlops("report", runs[0]["name"], "--output", str(page))
    assert reported.code == 0 and str(page) in reported.text, reported.text
    assert "Importance of the columns" in page.read_text(encoding="utf-8")
    unknown = mlops("logs", "trian")
    assert unknown.code == 1 and "has no step 'trian'. Did you mean train?" in unknown.text
    lost = mlops("compare", "no-such-run", runs[0]["name"])
    assert lost.code == 1 and "There is no run 'no-such-run' of flats. There are: batchjob-" in lost.text


@pytest.mark.nightly
def test_a_delta_table_by_setting_gets_the_files_that_are_scored_from_then_on(
    own: Machine, new_pipeline: Result
) -> None:
    specification = own.checkout / "mlops/pipelines/flats/pipeline.yml"
    content = yaml.safe_load(specification.read_text(encoding="utf-8"))
    content["score"]["format"] = "delta"
    specification.write_text(yaml.safe_dump(content), encoding="utf-8")
    up = own.make("up", "PIPELINE=flats", timeout=900)
    assert up.code == 0, up.text
    # Their contents differ from the file that was scored before.
    march, april = "".join(reversed(_FLATS.splitlines(keepends=True))), _FLATS.replace("edge", "centre")
    for name, rows in (("of march", march), ("of april", april)):
        file = own.home.parent / f"flats {name}.csv"
        file.write_text(f"{_ROOMS},district,size\n{rows}", encoding="utf-8")
        scored = own.make("score", "PIPELINE=flats", f"FILE={file}")
        assert scored.code == 0 and f"flats {name}.csv: 12 rows read, 11 scored" in scored.text, scored.text
    place = re.search(r"Delta table: (\S+), rows with input_file", " ".join(scored.text.split()))
    assert place and place[1].endswith("/scoring/tables/flats"), scored.text

    again = own.make("score", "PIPELINE=flats", f"FILE={file}")
    read = own.python(_READ_TABLE, place[1])

    assert again.code == 0 and "was scored already" in again.text, again.text
    assert read.code == 0, read.text
    assert json.loads(read.text.strip().splitlines()[-1]) == {"flats of april.csv": 11, "flats of march.csv": 11}


def _changed(own: Machine, name: str, changes: dict[int, dict[str, str]]) -> str:
    """Return the path of a copy of the training data with other values in some rows, by row and column."""
    with (own.checkout / "data/flats.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for index, values in changes.items():
        rows[index] |= values
    file = own.home.parent / name
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(reversed(rows[0])))
        writer.writeheader()
        writer.writerows(rows)
    return str(file)


def test_data_that_break_the_contract_stop_the_run_before_training(own: Machine, new_pipeline: Result) -> None:
    before, _ = registered(own, "flats")
    bad = _changed(own, "bad.csv", {1: {"size": "inf"}, 2: {"size": "secret"}, 3: {"price": ""}})

    up = own.make("up", "PIPELINE=flats", f"DATA={bad}")

    text = " ".join(up.text.split())
    assert up.code != 0
    assert (
        "check_data: Failed. The data break their contract: size has 1 value that is not a number and has 1 value that "
        "is infinite, or too large for a number here; price is missing in 1 row (0.3%, and 0.0% may)."
    ) in text, up.text
    assert re.search(r"Rows that break a rule: abfss://\S+/_quarantine", text), up.text
    assert re.search(r"data/[0-9a-f]{64}/data\.csv is the file bad\.csv\.", text), up.text
    assert "secret" not in up.text, "a value of the data is shown"
    assert not re.search(r"\btrain\b.*Completed", up.text)
    assert registered(own, "flats")[0] == before


def test_reordered_columns_are_accepted_and_a_shift_is_a_warning(own: Machine, new_pipeline: Result) -> None:
    shifted = _changed(own, "shifted.csv", {index: {"size": str(300 + index)} for index in range(150)})

    up = own.make("up", "PIPELINE=flats", f"DATA={shifted}")

    trained(up)
    text = " ".join(up.text.split())
    assert re.search(r"Warning: size has 150 values above 1[345]", text), up.text
    assert "Warning: size is distributed otherwise than in the data of the model that serves" in text, up.text
    assert "Data: 300 rows, 3 of them dropped. Rows without a value: size 3." in text, up.text


@pytest.mark.nightly
def test_a_shift_that_is_an_error_ends_the_run_before_training(own: Machine, new_pipeline: Result) -> None:
    specification = own.checkout / "mlops/pipelines/flats/pipeline.yml"
    before, versions = specification.read_text(encoding="utf-8"), registered(own, "flats")[0]
    content = yaml.safe_load(before)
    content["data_contract"]["drift"] = {"limit": 0.25, "severity": "error"}
    specification.write_text(yaml.safe_dump(content), encoding="utf-8")
    shifted = _changed(own, "far.csv", {index: {"size": str(500 + index)} for index in range(150)})

    up = own.make("up", "PIPELINE=flats", f"DATA={shifted}")

    specification.write_text(before, encoding="utf-8")
    published = own.in_shell("python", "-m", "mlops", "publish", "--pipeline", "flats")
    assert published.code == 0, published.text
    text = " ".join(up.text.split())
    assert up.code != 0
    assert re.search(
        r"check_data: Failed\. The data break their contract: size is distributed otherwise than in the data of the "
        r"model that serves \(drift: population stability index \d+\.\d\d, and 0\.25 may be\)\.",
        text,
    ), up.text
    assert not re.search(r"\btrain\b.*(Running|Completed)", up.text), up.text
    assert registered(own, "flats")[0] == versions


def test_a_forced_run_runs_all_steps_and_a_removed_pipeline_leaves_nothing(own: Machine, new_pipeline: Result) -> None:
    forced = own.make("run", "PIPELINE=flats", "FORCE=1")
    trained(forced)
    assert not re.search(r"\breused\b", forced.text)

    def remove(*words: str) -> Result:
        return own.in_shell("python", "-m", "mlops", "remove", *words)

    refused = remove("flats")
    assert refused.code == 1 and "nothing is deleted without --yes" in refused.text, refused.text
    assert "file mlops/pipelines/flats/pipeline.yml" in refused.text
    removed = remove("flats", "--yes")
    assert removed.code == 0, removed.text
    gone = remove("flats", "--yes")
    assert gone.code == 1 and "There is no pipeline 'flats'" in gone.text
    first = remove("diabetes")
    assert first.code == 1 and "diabetes has the stack's first endpoint" in first.text

    up = own.make("up", "PIPELINE=breast_cancer")
    assert up.code == 0 and re.search(r"learning-endpoint-flats\b.*deleted", up.text), up.text
    models, endpoints = registered(own, "flats")
    assert models == {} and not [name for name in endpoints if name.startswith("bep-flats-")]
    assert re.search(r"Deleted online endpoint oep-flats-", removed.text), removed.text
    left = [path for path in own.checkout.rglob("*flats*") if not path.is_relative_to(own.checkout / ".venv")]
    assert [path.relative_to(own.checkout).as_posix() for path in left] == ["data/flats.csv"]


def test_a_file_that_cannot_be_used_is_refused_before_anything_starts(own: Machine, new_pipeline: Result) -> None:
    replace(own, checkout=ROOT).make("down")

    missing = own.make("up", "PIPELINE=breast_cancer", "DATA=no-such.csv")
    other = own.make("up", "PIPELINE=breast_cancer", "DATA=data/diabetes.csv")

    assert missing.code != 0 and "The data file no-such.csv does not exist" in missing.text, missing.text
    assert other.code != 0 and "has none of the columns of breast_cancer" in other.text, other.text
    assert "Updating" not in missing.text + other.text and "localcloud runs" not in missing.text, missing.text
