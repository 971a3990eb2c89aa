"""Template deployments: Microsoft.Resources/deployments, for clients that create by templates, as azure-ai-ml does."""
