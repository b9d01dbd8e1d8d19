"""The challenge's baseline (nttcslab/dcase2026_task4_baseline): taggers and ResUNetK, loading its checkpoints."""
