"""Training of the project's own networks: data, captions, losses, loops, export. Needs the extra ``torch``."""
