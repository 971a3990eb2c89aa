"""The step watch after breaches, as a program: RETRAINING has its arguments as JSON, and the moment it is."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "mlops/components/watch/src"))
from retrain import Retraining  # type: ignore[import-not-found]
from retraining_requests import Requests  # type: ignore[import-not-found]
from training_endpoint import TrainingEndpoint  # type: ignore[import-not-found]

from steps.retraining import Observation

arguments = json.loads(os.environ["RETRAINING"])
credential = DefaultAzureCredential()
blobs = ContainerClient(arguments["account"], "trainingdata", credential=credential)
endpoint = TrainingEndpoint(arguments["uri"], arguments["component"], "retrained", credential, credential)
retraining = Retraining(
    Requests(blobs, arguments["model"]), endpoint, blobs, "abfss://trainingdata@x", arguments["model"],
    f"incoming/{arguments['model']}/", clock=lambda: datetime.fromisoformat(arguments["now"]),
)  # fmt: skip
observed = [Observation(name, True, ("bmi has drifted",)) for name in arguments["windows"]]
sys.stdout.write(retraining.follow(arguments["mode"], observed, 2, timedelta(days=7)))
