"""Forms of the staff site, by the rooms of the services: they read and check what was typed, and
services write."""
