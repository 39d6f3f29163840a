"""What to measure next on a target, and replays of such choices on webs whose runs are known. Needs no torch."""
