"""Parts that all services share: settings, database, errors, requests."""
