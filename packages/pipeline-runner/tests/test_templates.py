"""Templates: their compilation before a run."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from pipeline_runner.errors import PipelineError
from pipeline_runner.templates import compile_pipeline


class Files:
    """YAML files of one repository."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")

    def compiled(self, **parameters: Any) -> dict[str, Any]:
        predefined = {"Build.Reason": "PullRequest"}
        return compile_pipeline(self.root / "main.yml", self.root, parameters, predefined)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_if_elseif_else_keep_one_branch(files: Files) -> None:
    files.write(
        "main.yml",
        """
        parameters:
          - {name: size, type: string, default: big}
        steps:
          - ${{ if eq(parameters.size, 'big') }}:
              - bash: one
              - bash: two
          - ${{ elseif eq(parameters.size, 'small') }}:
              - bash: three
          - ${{ else }}:
              - bash: four
        """,
    )
    assert [step["bash"] for step in files.compiled()["steps"]] == ["one", "two"]
    assert [step["bash"] for step in files.compiled(size="small")["steps"]] == ["three"]
    assert [step["bash"] for step in files.compiled(size="none")["steps"]] == ["four"]


def test_each_iterates_over_lists_and_objects_and_insert_merges(files: Files) -> None:
    files.write(
        "main.yml",
        """
        parameters:
          - name: names
            type: object
            default: [a, b]
          - name: env
            type: object
            default: {ONE: '1', TWO: '2'}
        steps:
          - ${{ each name in parameters.names }}:
              - bash: run ${{ name }}
                env:
                  ${{ insert }}: ${{ parameters.env }}
                  LAST: x
          - bash: end
            env:
              ${{ each pair in parameters.env }}:
                X_${{ pair.key }}: ${{ pair.value }}
        """,
    )
    steps = files.compiled()["steps"]
    assert [step["bash"] for step in steps] == ["run a", "run b", "end"]
    assert steps[0]["env"] == {"ONE": "1", "TWO": "2", "LAST": "x"}
    assert steps[2]["env"] == {"X_ONE": "1", "X_TWO": "2"}


def test_a_template_path_is_relative_to_its_file_and_its_parameters_are_typed(files: Files) -> None:
    files.write("main.yml", "stages: [{template: t/stage.yml, parameters: {name: dev, deep: 'true'}}]")
    files.write(
        "t/stage.yml",
        """
        parameters:
          - {name: name, type: string, values: [dev, prod]}
          - {name: deep, type: boolean, default: false}
        stages:
          - stage: ${{ parameters.name }}
            jobs:
              - ${{ if parameters.deep }}:
                  - template: ../j/job.yml
        """,
    )
    files.write("j/job.yml", "jobs: [{job: J, steps: [{template: /steps.yml}]}]")
    files.write("steps.yml", "steps: [{bash: hello}]")
    stage = files.compiled()["stages"][0]
    assert (stage["stage"], stage["jobs"][0]["steps"]) == ("dev", [{"bash": "hello"}])


def test_static_variables_and_predefined_ones_can_be_seen_while_compiling(files: Files) -> None:
    files.write("vars.yml", "variables: {names: 'a,b'}")
    files.write(
        "main.yml",
        """
        variables:
          - template: vars.yml
          - group: of-the-run
        steps:
          - ${{ if eq(variables['Build.Reason'], 'PullRequest') }}:
              - ${{ each one in split(variables.names, ',') }}:
                  - bash: ${{ one }} $(later)
        """,
    )
    compiled = files.compiled()
    assert compiled["variables"] == [{"name": "names", "value": "a,b"}, {"group": "of-the-run"}]
    assert [step["bash"] for step in compiled["steps"]] == ["a $(later)", "b $(later)"]


@pytest.mark.parametrize(
    ("main", "template", "message"),
    [
        (
            "steps: [{template: t.yml}]",
            "parameters: [{name: x, type: string}]\nsteps: []",
            "A value for the 'x' parameter",
        ),
        ("steps: [{template: t.yml, parameters: {y: 1}}]", "steps: []", "Unexpected parameter 'y'"),
        (
            "steps: [{template: t.yml, parameters: {x: much}}]",
            "parameters: [{name: x, type: number}]\nsteps: []",
            "'much' is not a number",
        ),
        (
            "steps: [{template: t.yml, parameters: {x: qa}}]",
            "parameters: [{name: x, type: string, values: [dev, prod]}]\nsteps: []",
            "'qa' is not a value of 'x': dev, prod",
        ),
        ("steps: [{template: none.yml}]", "steps: []", "There is no file"),
        ("steps: [{template: t.yml}]", "jobs: []", "is used as a template of steps"),
        ("steps:\n  - ${{ else }}:\n      - bash: x", "", "else without an if"),
        ("steps: [{bash: '${{ nothing.x }}'}]", "", "Unrecognized value: 'nothing'"),
    ],
)
def test_an_unusable_template_is_refused_by_name(files: Files, main: str, template: str, message: str) -> None:
    files.write("main.yml", main)
    files.write("t.yml", template or "steps: []")
    with pytest.raises(PipelineError) as caught:
        files.compiled()
    assert message in str(caught.value)
