"""The timeline's tables: events, the watches they are about, and the words by which they are found."""
