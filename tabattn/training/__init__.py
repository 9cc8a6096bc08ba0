"""Training with Lightning; the only folder that imports it."""
