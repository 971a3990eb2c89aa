"""Azure Container Registry's own hosts, as far as reaching them goes: there are no images."""
