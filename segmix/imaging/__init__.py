"""Reading pictures into arrays of one intensity a pixel."""
