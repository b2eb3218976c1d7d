"""Drawing the synthetic set: the generator, its lenders, scores, and an estimate beforehand."""
