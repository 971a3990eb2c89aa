"""The report of a run: what the evaluation saw, as numbers, as a page and as a summary. It knows no model."""
