"""What happened, in order; nobody can quietly change it. README.md: the life of an event."""
