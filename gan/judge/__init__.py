"""How good are these digits? `python -m gan.judge` trains the classifier that answers.

network.py     the classifier, and what it says of images
metrics.py     Frechet distance, coverage, precision and recall, neighbours: pure functions
parzen.py      the log-likelihood of the first paper
report.py      a short look during training, and the whole report on a run
neighbours.py  the training digits nearest to a generated one
"""
