"""What comes from outside the car: radio by UDP, positions by GNSS."""
