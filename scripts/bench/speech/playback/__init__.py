"""What benches of voices share: an engine that writes, the sound of it in the browser, other work, transcripts."""
