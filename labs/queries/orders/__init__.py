"""Requests: what can be ordered, where one is, what is wrong with it."""
