"""What people take home: the data set, the model, and the report about both."""
