"""Reports: figures as data, drawn on a page or into a file."""
