"""Azure Container Registry's own hosts, only to reach them: there are no images."""
