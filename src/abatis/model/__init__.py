"""The nouns of abatis: Study, Mesh, Problem and Plan; the table of fields; errors. No algorithm."""
