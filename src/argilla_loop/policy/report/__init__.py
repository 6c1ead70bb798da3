"""What a report says of a dataset: figures from its records and the plan, without any text, name or rendering."""
