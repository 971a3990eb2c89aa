"""Bindings, commands, literals and durations, without a localcloud."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localcloud.azureml.jobs import durations, expressions, literals
from localcloud.azureml.jobs.expressions import BindingError, ParentInput, ParentOutput, StepOutput
from localcloud.azureml.jobs.specification import InputDeclaration


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("${{parent.inputs.rate}}", ParentInput("rate")),
        ("${{ parent.inputs.group.rate }}", ParentInput("group.rate")),
        ("${{parent.jobs.train.outputs.model}}", StepOutput("train", "model")),
        ("${{parent.outputs.model}}", ParentOutput("model")),
        ("plain", None),
        ("a ${{parent.inputs.rate}}", None),
        (3, None),
    ],
)
def test_a_binding_is_a_whole_value(text: object, reference: object) -> None:
    assert expressions.whole(text) == reference


@pytest.mark.parametrize("text", ["${{inputs.rate}}", "${{parent.inputs}}", "${{parent.jobs.a.inputs.b}}", "${{x}}"])
def test_an_invalid_binding_is_named(text: str) -> None:
    with pytest.raises(BindingError, match="is not valid: use"):
        expressions.whole(text)


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ({"a": "1", "b": "2"}, "run 1 --b 2 /out"),
        ({"a": "1", "b": None}, "run 1  /out"),
    ],
)
def test_optional_parts_of_a_command_depend_on_their_input(inputs: dict[str, str | None], line: str) -> None:
    command = expressions.command("run ${{inputs.a}} $[[--b ${{inputs.b}}]] ${{outputs.o}}", inputs, {"o": "/out"})

    assert command == line


def test_an_optional_input_outside_of_brackets_needs_a_value() -> None:
    with pytest.raises(BindingError, match=r"optional input 'a', which has no value: put it in \$\[\[ \]\]"):
        expressions.command("run ${{inputs.a}}", {"a": None}, {})


@given(st.text(alphabet=st.characters(exclude_characters="${}[]"), max_size=40))
def test_values_are_inserted_into_the_command_unchanged(value: str) -> None:
    assert expressions.command("x ${{inputs.a}} y", {"a": value}, {}) == f"x {value} y"


@given(st.integers())
def test_every_form_of_integer_is_accepted(number: int) -> None:
    assert literals.check("n", str(number), InputDeclaration(type="integer")) == str(number)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT30S", 30), ("PT1H30M", 5400), ("P1DT1S", 86401), ("PT0.5S", 0.5), (90, 90), ("90", 90), (None, None)],
)
def test_durations_have_iso_8601_or_seconds(text: object, seconds: float | None) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "30 s", "-PT1S", "PT1X"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an ISO 8601 duration"):
        durations.seconds(text)
