"""What an operator takes home: the data set in files, its card, its manifest, and its way to the hub."""
