"""What several test folders share: small real servers and files, no mocks."""
