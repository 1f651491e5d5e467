"""The server: what the page reads and changes, over HTTP."""
