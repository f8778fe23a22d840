"""Measurements that anybody can repeat from a checkout: `joyvl bench …`. One file a command; the rest are its rooms."""
