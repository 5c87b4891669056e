"""Live GAN: watch two networks play a game until one of them can write digits.

The house, from the front door down. Imports point down only.

    ui/            the page: one file per tab, live.py (what watchers poll), text.py (every word)
    cli.py         python -m gan train | sample | evaluate | export | import | runs
    train_command.py  the first of them
    studio.py      the one shared object that page and endpoints talk to: which runs exist, and whose
    access.py      what a visitor may do with a run
    worker.py      the background thread, on which several runs take turns
    seat.py        a run's turn: train it, save, judge and show it
    examiner.py    when the judge looks at a run that trains
    orders.py      what is wanted of a run, noted by any thread
    snapshot.py    what watchers see of a run, immutable
    waiting.py     how long a run in line will have to wait
    autosave.py    when to save, so that saving stays under 2 % of training
    diagnosis.py   what the numbers mean, and what to try
    housekeeping.py  the runs' share of the disk
    generators.py  the frozen networks of saved runs, the last few in memory
    listing.py     all runs that somebody may choose from
    past.py        what is kept of any run's past, one shape for all
    timeline.py    the digits of about sixty moments of a run
    runs.py        RunStore: one directory per run under checkpoints/
    checkpoint.py  one safetensors file holds everything; checked before anything is built
    judge/         how good are these digits: Frechet distance, coverage, likelihood
    precision.py   which device, how many threads, fp32 or bf16: measured, not guessed
    trainer.py     Trainer: one adversarial step, exact state in and out
    draws.py       what is random in a step, from the seed and the step's number
    sampling.py    seed -> latents -> images
    history.py     what every step measured, whole and downsampled
    plots.py       numbers and images -> PNG bytes
    losses.py      the GAN losses, pure functions
    networks.py    the generators and discriminators
    data.py        digits as one uint8 tensor
    config.py      RunConfig, RECIPES, ServerSettings: validated, the only defaults
    visitors.py    who asks: signed tokens, and the presenter's key
    limits.py      how often somebody may ask
    errors.py      everything that can go wrong, in words a person can act on
"""

__version__ = "0.1.0"
