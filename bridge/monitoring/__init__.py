"""What a running bridge sees of itself and of its senders, and what it says of it: figures, alarms, words."""
