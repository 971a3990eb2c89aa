"""Key Vault: the data plane of https://VAULT.vault.azure.net. Secrets and RSA keys; certificates answer 501."""
