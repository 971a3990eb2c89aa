"""What `infra/` and `mlops/` agree on: names and types of the stack's outputs, and nothing else."""
