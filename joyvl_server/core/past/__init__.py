"""Questions about the past: when they mean, what they ask for, and what somebody wants remembered."""
