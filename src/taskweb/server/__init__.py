"""The local page of `taskweb ui`: rank examples in a browser, and watch a plan while it runs. Needs the extra `ui`."""
