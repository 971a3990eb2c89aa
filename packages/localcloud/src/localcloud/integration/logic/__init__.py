"""Logic Apps (Consumption): workflows that a request starts, and an interpreter of their definitions."""
