"""Studies that come with the package, written from public geographic facts."""
