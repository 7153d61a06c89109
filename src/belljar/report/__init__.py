"""What people and tools read: record -> terminal, JSON. Everything from a guest is escaped."""
