"""What is known of processes beyond one's own child, and the messages that go to and from one."""
