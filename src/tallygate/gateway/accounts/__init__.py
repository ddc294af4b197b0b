"""Users, API keys, plans and credits."""
