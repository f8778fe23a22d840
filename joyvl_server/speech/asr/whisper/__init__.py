"""Engine `whisper`: faster-whisper in a process of its own."""
