"""One runnable script per claim, with its results beside it."""
