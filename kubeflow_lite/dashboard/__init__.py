"""The central dashboard: one read-only page of tenants, nodes and events."""
