"""The room of conversations, over real stores."""
