"""What a fit has learned, in memory and in files."""
