"""Processes that are deployed, and the command `sentinel`: the only place with effects and a wall clock."""
