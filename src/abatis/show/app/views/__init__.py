"""What each view of the page shows, made from a study in memory and from the results kept beside it."""
