"""Rows that show the same."""
