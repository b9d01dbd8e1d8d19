"""What data exists, how it is named, made and checked. Depends on no other part of s5eval."""
