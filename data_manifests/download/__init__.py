"""Getting the official records: downloads that go on, archives unpacked with care."""
