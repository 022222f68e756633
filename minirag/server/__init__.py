"""An OpenAI-protocol server."""
