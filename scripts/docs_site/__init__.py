"""What the documentation site is made of besides the pages in docs/: tables, references and pages from elsewhere."""
