"""Key Vault: the data plane of https://VAULT.vault.azure.net. Secrets only; keys and certificates answer 501."""
