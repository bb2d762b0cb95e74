"""Carts and orders over HTTP."""
