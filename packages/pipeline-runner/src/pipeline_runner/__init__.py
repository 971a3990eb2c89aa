"""Azure DevOps pipelines, played from their YAML on one machine."""
