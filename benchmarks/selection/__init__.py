"""How good rankings of sources are, what chosen sources are worth, and how fast ranking is."""
