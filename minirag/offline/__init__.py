"""Apart. An OpenAI-protocol server on loopback with four small, real, deterministic models inside."""
