"""Everything that talks to Argilla; nothing here knows of models.

``connection`` → ``schema`` (the working dataset's shape) → ``dataset`` (reading and logging records) →
``listener`` (look, condition, action). ``memory`` is the same dataset without a server.
"""
