"""Speed of training runs, and whether measured transfers follow what was planted."""
