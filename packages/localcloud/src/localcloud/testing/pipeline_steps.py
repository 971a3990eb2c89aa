"""A registered component for tests of pipelines."""

from __future__ import annotations

import pytest
from azure.ai.ml import Input, Output
from azure.ai.ml.entities import Component

from localcloud.testing.job_sources import STEP, code, component
from localcloud.testing.workspace_session import MlWorkspace


@pytest.fixture(scope="module")
def step(ml: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Component:
    """Return a registered component, which appends its word to its input and fails on "boom"."""
    source = code(tmp_path_factory.mktemp("step") / "src", step=STEP)
    specification = component(
        ml, source, "python step.py ${{inputs.word}} ${{outputs.words}} $[[${{inputs.before}}]]",
        inputs={
            "word": Input(type="string"), "before": Input(type="uri_folder", optional=True),
        },
        outputs={"words": Output(type="uri_folder")},
    )  # fmt: skip
    return ml.client.components.create_or_update(specification)
