"""The specification of a training pipeline: `pipeline.yml`, as a person writes it and as the steps get it.

It is data alone. Unknown fields are refused, so that a misspelt one does not silently do nothing.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from steps.data_contract import DataContract, closest
from steps.metrics import BUILT_IN, Direction, Task
from steps.schedule import Schedule, Times
from steps.serving import Serve
from steps.watch import Watch

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
_Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
ParameterValue = bool | int | float | str


SCORING_INPUTS, SCORING_OUTPUTS, SCORING_TABLES = "scoring/in", "scoring/out", "scoring/tables"
"""Folders of the training container. The stack's lifecycle rules name the first two, and must not name the third: a
Delta table whose files a rule deletes cannot be read."""
SCORED_COLUMNS = ("row", "prediction", "model_version", "scored_at", "input_file")
"""Columns of the predictions, besides keys and probabilities."""
TABLE_COLUMNS = ("date", "run")
"""Columns of a Delta table of predictions besides those; `date` is the partition."""
PREDICTIONS_FILE = "predictions.parquet"
NOT_IN_TABLES = " ,;{}()\n\t="
"""Characters that no column of a Delta table has: Delta Lake, error DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES."""
OutputFormat = Literal["parquet", "delta"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Split(_Section):
    """Choice of the rows that are held out of the training, to judge models by."""

    held_out: float = Field(default=0.2, ge=0.05, le=0.5, description="Share of the rows.")
    by: tuple[str, ...] = Field(
        default=(),
        description="Columns that decide on which side a row is; default: all. Name columns of the raw data, and "
        "held-out rows stay the same when a feature is added.",
    )
    fewest_rows: int = Field(default=50, ge=10, description="Fewest complete rows to train on.")


class Parameter(_Section):
    """A parameter of a run: it can be set without publishing again."""

    type: Literal["number", "integer", "string", "boolean"] = "number"
    default: ParameterValue
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = Field(default=(), description="Values that a string may have; default: any.")
    description: str = ""

    @model_validator(mode="after")
    def _default_fits(self) -> Parameter:
        self.parse(str(self.default).lower() if isinstance(self.default, bool) else str(self.default))
        return self

    def parse(self, text: str) -> ParameterValue:
        """Return the value of a text. Raises ValueError with a valid value in its message."""
        if self.type == "boolean":
            if text.lower() not in ("true", "false"):
                raise ValueError(f"{text!r} is neither true nor false")
            return text.lower() == "true"
        if self.type == "string":
            if self.allowed and text not in self.allowed:
                raise ValueError(f"{text!r} is none of {', '.join(self.allowed)}")
            return text
        try:
            value = int(text) if self.type == "integer" else float(text)
        except ValueError:
            kind = "a whole number" if self.type == "integer" else "a number"
            raise ValueError(f"{text!r} is not {kind}") from None
        if not math.isfinite(value):
            raise ValueError(f"{text!r} is not a finite number")
        if self.minimum is not None and value < self.minimum:
            raise ValueError(f"{text} is below the minimum {self.minimum:g}")
        if self.maximum is not None and value > self.maximum:
            raise ValueError(f"{text} is above the maximum {self.maximum:g}")
        return value


class Metric(_Section):
    """A metric on the held-out rows. With a margin it is compared with the champion's."""

    name: _Identifier
    direction: Direction | None = Field(
        default=None, description="lower or higher is better; built-in metrics know theirs."
    )
    minimum: float | None = Field(default=None, description="Least value that is accepted.")
    maximum: float | None = Field(default=None, description="Greatest value that is accepted.")
    margin: float | None = Field(
        default=None,
        description="By how much, in the metric's own unit, the challenger must be better than the champion. A "
        "negative margin is the loss that is tolerated. Default: 0 for the first metric; others are not compared.",
    )

    @property
    def better(self) -> Direction:
        """The direction, a built-in metric's own where none is written."""
        return self.direction or BUILT_IN[self.name].direction


class Slice(_Section):
    """Rows with the same value of a column: a metric's own bound for each such group."""

    column: str
    metric: _Identifier
    minimum: float | None = None
    maximum: float | None = None
    fewest_rows: int = Field(default=10, ge=2, description="Smaller groups are shown, and not judged.")

    @model_validator(mode="after")
    def _has_a_bound(self) -> Slice:
        if self.minimum is None and self.maximum is None:
            raise ValueError("give minimum or maximum, such as minimum: 0.2")
        return self


class Gate(_Section):
    """Conditions for the registration of a model."""

    metrics: tuple[Metric, ...] = Field(min_length=1)
    confidence: float = Field(
        0.9, ge=0.5, lt=1, description="Probability, by bootstrap, of being better by the margin."
    )
    resamples: int = Field(default=1000, ge=100, le=10_000)
    seed: int = Field(default=0, ge=0)
    when_not_comparable: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="When the champion cannot judge these rows: refuse, or accept by minimum and maximum alone.",
    )
    slices: tuple[Slice, ...] = ()

    @property
    def compared(self) -> tuple[tuple[Metric, float], ...]:
        """The metrics that are compared with the champion's, with their margins."""
        first, *others = self.metrics
        return (first, first.margin or 0.0), *(
            (metric, metric.margin) for metric in others if metric.margin is not None
        )

    @model_validator(mode="after")
    def _names_fit(self) -> Gate:
        names = [metric.name for metric in self.metrics]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"metrics {', '.join(twice)} are there more than once")
        if unknown := [part.metric for part in self.slices if part.metric not in names]:
            raise ValueError(f"slices name {', '.join(unknown)}, and metrics has {', '.join(names)}")
        return self


_Folder = Annotated[str, StringConstraints(pattern=r"^scoring(/[A-Za-z0-9][A-Za-z0-9._=-]{0,62}){1,6}$")]


class Score(_Section):
    """Batch scoring: files that are left in a folder are scored by the version that serves."""

    notebook: _Identifier = Field(
        description="Notebook below notebooks/ that makes the features of a file, without .py. It calls the function "
        "that the training notebook calls."
    )
    input: _Folder = Field(
        description="Folder of the training container where others leave CSV files, below scoring/in/."
    )
    format: OutputFormat = Field(
        default="parquet",
        description="parquet: a folder of files for each scored file; delta: one Delta table for the model, which "
        "each scored file adds its rows to.",
    )
    output: _Folder = Field(
        default=SCORING_OUTPUTS,
        description="Folder of the training container for the predictions, each model's in a subfolder of its name: "
        "scoring/out or below it, of Delta tables scoring/tables (their default) or below it.",
    )
    keys: tuple[str, ...] = Field(
        default=(), description="Columns of the file that are carried along, beside the prediction of each row."
    )
    most_refused: float = Field(
        default=0.1, ge=0, le=1, description="Largest share of rows that may be refused before nothing is written."
    )
    most_files: int = Field(
        default=100, ge=1, le=10_000, description="Most files that one run takes; the others wait for the next run."
    )
    schedule: Times | None = Field(
        default=None, description="When to score by itself the files of `input` that were not scored."
    )

    @field_validator("input")
    @classmethod
    def _is_an_input(cls, folder: str) -> str:
        if not folder.startswith(f"{SCORING_INPUTS}/"):
            raise ValueError(f"must be a folder below {SCORING_INPUTS}/, such as {SCORING_INPUTS}/house_prices")
        return folder

    @model_validator(mode="before")
    @classmethod
    def _tables_have_a_folder(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("format") == "delta" and "output" not in content:
            return content | {"output": SCORING_TABLES}
        return content

    @field_validator("output")
    @classmethod
    def _is_an_output(cls, folder: str, info: ValidationInfo) -> str:
        output_format = info.data.get("format", "parquet")
        root = SCORING_TABLES if output_format == "delta" else SCORING_OUTPUTS
        if folder != root and not folder.startswith(f"{root}/"):
            raise ValueError(f"must be {root} or a folder below it for the format {output_format}")
        return folder

    @field_validator("keys")
    @classmethod
    def _are_free(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"{', '.join(twice)} are there more than once")
        if reserved := [
            key for key in keys if key in SCORED_COLUMNS or key.startswith(("prediction_", "probability_"))
        ]:
            raise ValueError(f"{', '.join(reserved)}: columns of the output, choose others")
        return keys

    @field_validator("keys")
    @classmethod
    def _fit_a_table(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Check names that Parquet has, and Delta tables have not: their columns differ by more than case."""
        if info.data.get("format") != "delta":
            return keys
        if unfit := [key for key in keys if set(key) & set(NOT_IN_TABLES)]:
            raise ValueError(f"{unfit[0]!r}: no column of a Delta table has a space or one of ,;{{}}()= in its name")
        own = {name: name for name in (*SCORED_COLUMNS, *TABLE_COLUMNS)}
        for key in keys:
            if key.lower() in own:
                raise ValueError(f"{key!r}: a Delta table of predictions has the column {own[key.lower()]!r} already")
            own[key.lower()] = key
        return keys

    @property
    def outputs(self) -> tuple[str, ...]:
        """Folders where runs may have left outputs that are not in their places, also in the other format."""
        return tuple(dict.fromkeys((self.output, SCORING_OUTPUTS, SCORING_TABLES)))


class Specification(_Section):
    """A training pipeline."""

    description: _Text
    model: _Name = Field(description="Name of the registered model.")
    task: Task
    target: str = Field(min_length=1, description="Column that the model predicts.")
    notebook: _Identifier = Field(description="Notebook below notebooks/ that makes the features, without .py.")
    data: _Text = Field(description="Training data that the verbs take by default: a path from the repository's root.")
    default: bool = Field(default=False, description="Whether verbs without --pipeline mean this one.")
    data_contract: DataContract = Field(default=DataContract(), description="Rules for the data.")
    split: Split = Split()
    parameters: dict[_Identifier, Parameter] = {}
    packages: tuple[str, ...] = Field(
        default=(),
        description="Packages that the pipeline's own code imports besides every pipeline's own ones, in exact "
        "versions, such as lightgbm==4.6.0.",
    )
    gate: Gate
    score: Score | None = Field(default=None, description="Batch scoring; without it, the pipeline scores nothing.")
    watch: Watch | None = Field(default=None, description="How scored files are watched; without it they are not.")
    serve: Serve | None = Field(
        default=None,
        description="An endpoint that answers requests with the version that serves: `online`, or a section with its "
        "settings; without it, the stack has none for the pipeline.",
    )
    schedule: Schedule | None = Field(default=None, description="When to train by itself.")
    owners: tuple[str, ...] = ()
    tags: dict[str, str] = {}

    @field_validator("packages")
    @classmethod
    def _pinned(cls, packages: tuple[str, ...]) -> tuple[str, ...]:
        for package in packages:
            if _PIN.fullmatch(package) is None:
                raise ValueError(f"{package!r} has no exact version: write name==version, such as lightgbm==4.6.0")
        names = [package.partition("==")[0].lower().replace("_", "-") for package in packages]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is there more than once")
        return packages

    @field_validator("parameters")
    @classmethod
    def _free_names(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        if reserved := sorted(RESERVED & set(parameters)):
            raise ValueError(f"{', '.join(reserved)}: these are inputs of every pipeline, choose other names")
        return parameters

    @model_validator(mode="after")
    def _contract_has_the_target(self) -> Specification:
        columns = self.data_contract.columns
        if columns and self.target not in columns:
            raise ValueError(
                f"data_contract.columns has no column {self.target!r}, the target: {closest(self.target, [*columns])}"
            )
        return self

    @model_validator(mode="after")
    def _classes_fit_a_table(self) -> Specification:
        """Check the classes that are known: the probability of each one is a column of the predictions."""
        target = self.data_contract.columns.get(self.target)
        if self.score is None or self.score.format != "delta" or self.task != "classification":
            return self
        values = target.allowed.limit if target is not None and target.allowed is not None else ()
        if unfit := [value for value in values if isinstance(value, str) and set(value) & set(NOT_IN_TABLES)]:
            raise ValueError(
                f"score.format is delta, and the target has the class {unfit[0]!r}: no column of a Delta table has a "
                "space or one of ,;{}()= in its name, as probability_CLASS would have. Rename the class in the data, "
                "or write score.format: parquet"
            )
        return self

    @model_validator(mode="after")
    def _watch_fits(self) -> Specification:
        if self.watch is None:
            return self
        if self.score is None:
            raise ValueError("watch is for scored files, and there is no section score")
        columns = [name for name in self.data_contract.columns if name != self.target]
        if columns and (unknown := [name for name in self.watch.columns if name not in columns]):
            raise ValueError(f"watch.columns has no column {unknown[0]!r} to watch: {closest(unknown[0], columns)}")
        if columns and (unknown := [name for name in self.watch.leave_out if name not in columns]):
            raise ValueError(f"watch.leave_out has no column {unknown[0]!r} to watch: {closest(unknown[0], columns)}")
        labels = self.watch.labels
        if labels is None:
            return self
        if unknown := [key for key in labels.keys if key not in self.score.keys]:
            raise ValueError(f"watch.labels.keys: {unknown[0]!r} is none of score.keys, which are carried along")
        metrics = [metric.name for metric in self.gate.metrics]
        if unknown := [name for name in labels.worse_by if name not in metrics]:
            raise ValueError(
                f"watch.labels.worse_by: the gate has no metric {unknown[0]!r}: {closest(unknown[0], metrics)}"
            )
        return self

    @model_validator(mode="after")
    def _metrics_fit_the_task(self) -> Specification:
        for metric in self.gate.metrics:
            built_in = BUILT_IN.get(metric.name)
            if built_in is None and metric.direction is None:
                known = ", ".join(sorted(name for name, metric in BUILT_IN.items() if metric.task == self.task))
                raise ValueError(
                    f"gate.metrics: {metric.name} is not built in for {self.task} (built in: {known}); an own metric "
                    "has a direction here, lower or higher, and a function of its name in metrics.py"
                )
            if built_in is not None and built_in.task != self.task and metric.direction is None:
                raise ValueError(f"gate.metrics: {metric.name} is for {built_in.task}, and the task is {self.task}")
        return self


_PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.!+_]*")
RESERVED = frozenset(
    {
        "data_uri", "data_version", "code_version", "reuse_key", "specification", "engineered", "checked", "model",
        "held_out", "serving_version",
    }
)  # fmt: skip
"""Names of inputs that every pipeline or train component has."""
