"""In which order things happen: load, decide, commit."""
