"""Prices and bills."""
