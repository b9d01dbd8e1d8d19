"""The networks: taggers, label-queried separator, and the frozen transforms that their checkpoints carry."""
