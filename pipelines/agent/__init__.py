"""Code of make targets for Azure Pipelines alone: releases, comments, work items, the CI image."""
