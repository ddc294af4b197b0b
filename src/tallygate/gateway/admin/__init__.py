"""The admin API under ``/admin``: users, keys, credits."""

from tallygate.gateway.admin.app import AdminAPI, open_admin

__all__ = ["AdminAPI", "open_admin"]
