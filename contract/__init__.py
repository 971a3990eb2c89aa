"""The contract of `infra/`, `bootstrap/` and `mlops/`: stack outputs, resource providers, storage redundancy."""
