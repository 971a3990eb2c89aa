"""python -m mlops.specification_schema: write the JSON schema of pipeline.yml, for editors."""

from __future__ import annotations

import json

from mlops.specifications import PIPELINES
from steps.specification import Specification

FILE = PIPELINES / "pipeline.schema.json"


def text() -> str:
    """Return the schema."""
    return json.dumps(Specification.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
