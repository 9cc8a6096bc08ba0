"""File or frame to typed columns."""
