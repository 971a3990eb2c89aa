"""Microsoft Entra ID: the directory, signed tokens, OpenID discovery, and the managed identity endpoint."""
