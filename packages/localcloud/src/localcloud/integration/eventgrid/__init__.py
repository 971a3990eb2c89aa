"""Event Grid: system topics of storage accounts, their event subscriptions, and delivery to webhooks."""
