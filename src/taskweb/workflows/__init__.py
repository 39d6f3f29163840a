"""What connects the stages: from files to a ranking, from a web to a benchmark."""
