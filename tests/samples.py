"""Training pipelines of the tests' own, in the form of mlops/pipelines.

Everybody changes the shipped pipelines and adds others: tests of behaviour read these instead, so that such a commit
passes. Only a test about the shipped pipelines reads mlops/pipelines, and each valid edit passes it.
"""

from __future__ import annotations

from pathlib import Path

PIPELINES = Path(__file__).with_name("sample_pipelines")
"""The default pipeline, diabetes, and breast_cancer: both score and are watched, none serves online or is retrained."""
