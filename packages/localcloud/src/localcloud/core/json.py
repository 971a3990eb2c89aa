"""A JSON object, as request and response bodies are."""

from typing import Any

Json = dict[str, Any]
