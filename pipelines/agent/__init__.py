"""What make targets do for Azure Pipelines alone: releases, comments, work items, the CI image."""
