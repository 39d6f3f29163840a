"""Charts, one kind each: numbers in, a Vega-Lite specification out; they name no colours."""
