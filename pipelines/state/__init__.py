"""A stack's state in its blob container: which earlier ones there are, and how one of them is put back."""
