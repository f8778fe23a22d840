"""What a bench without a card stands on: a simulated one, in virtual time, under the real registry and sessions."""
