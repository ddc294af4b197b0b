"""What instrumentations share; nothing here is one."""
