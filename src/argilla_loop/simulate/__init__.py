"""The loop over a labelled file, with somebody who answers by its labels: measure before you believe."""
