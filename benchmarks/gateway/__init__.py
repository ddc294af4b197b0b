"""The gateway under load: against going direct, against itself with less switched on, and against LiteLLM's proxy."""
