"""Views of curation, one module a noun."""
