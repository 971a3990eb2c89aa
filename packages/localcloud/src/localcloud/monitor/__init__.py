"""Azure Monitor: telemetry of Application Insights, its metrics, and the alerts on them."""
