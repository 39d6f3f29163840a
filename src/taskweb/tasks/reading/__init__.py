"""Reading what people have: one layer for all commands, from the bytes of a file to examples.

A file has a *format* (`formats`, and a module per format), its columns a *shape* (`column_shapes`, `chat_turns`, `choices`),
and its answers a *meaning* (`answer_meanings`, `labels`). `deciding` finds them once per file, from its rows; a `Reading` says
what was found, and makes examples of rows.
"""
