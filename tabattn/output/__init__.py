"""Tables and plots in files."""
