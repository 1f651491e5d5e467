"""What people touch: command line, maps, report and exported files."""
