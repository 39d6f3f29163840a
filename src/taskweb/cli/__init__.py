"""The command line: thin; it reads options, calls a workflow, and prints."""
