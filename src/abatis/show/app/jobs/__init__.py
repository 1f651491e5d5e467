"""Long work beside the server: each job in a process of its own, its state kept on disk."""
