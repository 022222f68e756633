"""An index in PostgreSQL with pgvector: for several processes, and for more chunks than fit in memory (README.md)."""

from minirag.postgres.store import PostgresVectorStore as PostgresVectorStore
