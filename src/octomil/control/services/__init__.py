"""What the control plane does, without HTTP or SQL: one service per resource."""
