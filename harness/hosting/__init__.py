"""A submission scored as platforms that host challenges want it: CodaBench and EvalAI."""
