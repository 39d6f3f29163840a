"""How long work is shown on stderr while it runs: bars on a terminal, plain lines elsewhere."""
