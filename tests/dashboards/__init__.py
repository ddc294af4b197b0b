"""Dashboards: what they ask, and how they come into Grafana."""
