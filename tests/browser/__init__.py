"""The live page in a real browser, in front of real gateways."""
