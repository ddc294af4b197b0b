"""The live page: what the gateway's traffic does, in a browser."""

from tallygate.gateway.page.app import Page
from tallygate.gateway.page.opening import open_page

__all__ = ["Page", "open_page"]
