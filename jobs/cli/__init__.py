"""The command `sentinel`."""
