"""Speed of scoring choices."""
