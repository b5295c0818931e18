"""Scripts that look at the source of minijax; nothing here is installed."""
