"""What an operator takes home: the data set in files, its card, its manifest, its way to the hub, and the report."""
