"""The shapes of both wires: Responses towards the client, Chat Completions towards the model."""
