"""Row 7. What a comparison of two arms rests on: one question about the scores a module, each with its source."""
