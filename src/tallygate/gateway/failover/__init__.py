"""What happens when a provider fails: other deployments, other models, pauses, breakers, probes.

Each worker learns by itself which deployments fail: what one knows is not told to the others.
"""
