"""Searching for the method and the settings that suit a table, under a limit of time."""
