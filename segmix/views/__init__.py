"""Pictures of a result: maps and overlays as arrays, figures as PNG files."""
