"""The timeline: events, their pictures and clips, the stream of them."""
