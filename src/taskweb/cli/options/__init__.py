"""The options of commands: shared ones, and groups that commands take as one parameter."""
