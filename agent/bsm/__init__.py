"""What the vehicle says and notices: state, basic safety messages, events."""
