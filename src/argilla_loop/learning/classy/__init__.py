"""All that deals with the stock ``ClassyClassifier``."""
