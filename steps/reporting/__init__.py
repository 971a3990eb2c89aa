"""The report of a run: the evaluation as numbers, as a page and as a summary. It knows no model."""
