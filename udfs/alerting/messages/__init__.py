"""Messages: a notification as the request or mail that a channel sends, within the limits of its receiver."""
