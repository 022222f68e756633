"""Which training rows and questions are worth having."""
