"""An encoder that learns: contrastive tuning of a sentence encoder's top layers on people's labels."""
