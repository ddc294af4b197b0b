"""The response cache: answers kept for the same request again."""
