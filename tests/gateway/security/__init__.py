"""What attackers send, and what the gateway must never tell."""
