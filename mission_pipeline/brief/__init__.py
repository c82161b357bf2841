"""The brief: from what was judged to what an executive reads. Ranks and phrases; computes and judges nothing."""
