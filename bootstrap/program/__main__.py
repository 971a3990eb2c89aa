"""Entry point of the Pulumi program in bootstrap/."""

import sys
from pathlib import Path

# Pulumi puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootstrap.stack import declare

declare()
