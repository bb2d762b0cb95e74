"""What the application is compared with: the same done with less, and the same done as it is usually done."""
