"""How right the labels are, how many more are needed, and whether people can stop: from random samples and audits."""
