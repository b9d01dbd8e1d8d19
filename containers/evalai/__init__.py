"""The evaluation script of a challenge on EvalAI: the folder `evaluation_script` of its configuration.

The worker needs s5eval; a remote worker runs in the image of containers/Dockerfile.
"""

from s5eval.harness.hosting.evalai import evaluate

__all__ = ["evaluate"]
