"""Names of the steps of the pipelines that mlops publishes, without the import of azure-ai-ml's DSL.

They are the variables of mlops/pipeline.py and mlops/scoring_pipeline.py.
"""

from __future__ import annotations

TRAINING = ("feature_engineering", "check_data", "train", "evaluate", "register")
SCORING = ("take_files", "prepare", "score", "watch")
