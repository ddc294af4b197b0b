"""What speaks HTTP to providers: one seam (``interface``) and a small keep-alive HTTP/1.1 client behind it.

Not supported: HTTP proxies from the environment, HTTP/2, upgrades. Providers are called directly.
"""

from tallygate.gateway.upstream.client import open_upstream
from tallygate.gateway.upstream.interface import Headers, Reply, Timeouts, Upstream, UpstreamError

__all__ = ["Headers", "Reply", "Timeouts", "Upstream", "UpstreamError", "open_upstream"]
