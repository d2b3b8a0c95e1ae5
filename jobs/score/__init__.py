"""Score: what was found, held against what was planted."""
