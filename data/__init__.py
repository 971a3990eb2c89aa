"""The small training set, and how it was made."""
