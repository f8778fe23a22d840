"""Ticks: packed small, thinned out with age."""
