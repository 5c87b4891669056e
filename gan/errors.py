"""Everything that can go wrong, in words a person can act on.

An error carries a key and named values; `MESSAGES` holds the English sentence of each key, and
`gan/ui/text.py` the Chinese one. The command line prints `str(error)`.
"""

MESSAGES = {
    # configuration
    "unknown-field": "There is no setting {field!r}; the settings are {allowed}.",
    "wrong-type": "{field} is {value!r}; it must be {allowed}.",
    "empty": "{field} is empty; it must be {allowed}.",
    "out-of-range": "{field} is {value!r}; allowed is {allowed}.",
    "unknown-recipe": "There is no recipe {recipe!r}; the recipes are {allowed}.",
    "batch-too-large": "batch_size is {value}; the dataset has only {allowed} images.",
    "bad-environment": "The environment variable {variable} is {value!r}; it must be {allowed}.",
    # data
    "data-damaged": "The data file {file} is damaged ({reason}). Put the original file back.",
    "data-missing": "{dataset} is not on this machine and could not be downloaded. "
    "Put its four files ({files}) into {folder}.",
    # runs and their names
    "bad-name": "{name!r} cannot name a run: use 1 to 40 letters, digits, '-' or '_', "
    "beginning with a letter or digit.",
    "run-exists": "There is a run {run!r} already. Choose another name, or resume it.",
    "no-run": "There is no run {run!r}.",
    "run-busy": "The run {run!r} is active, here or in another program. Stop it first.",
    "run-bundled": "The run {run!r} came with the project and stays as it is.",
    "folder-unusable": "The checkpoint folder {folder} cannot be used: {reason}.",
    # checkpoints
    "checkpoint-unreadable": "{file} is not a readable checkpoint: {reason}.",
    "checkpoint-not-ours": "{file} is a safetensors file, but not a Live GAN checkpoint.",
    "checkpoint-version": "{file} has checkpoint format {found}; this program reads format {allowed}.",
    "checkpoint-tensors": "{file} does not fit its settings: {reason}.",
    "checkpoint-digest": "{file} is damaged: its content does not match its digest.",
    "checkpoint-slim": "{run!r} is a slim checkpoint: it holds the networks for sampling, not the optimizer "
    "and history needed to resume. Start a new run from its weights instead.",
    "slim-history": "{run!r} is a slim checkpoint: it keeps no step-by-step history.",
    "checkpoint-too-large": "{file} has {size} MB; a checkpoint has at most {allowed} MB.",
    "resume-differs": "Cannot resume {run!r}: {differences}.",
    "save-failed": "Could not save {run!r}: {reason}. The previous checkpoint is untouched.",
    # training
    "not-finite": "{quantity} became {value} at step {step}: the training diverged. Continue from the last "
    "checkpoint with lower learning rates (now {lr_g} for G and {lr_d} for D).",
    "already-training": "{run!r} is training, and you can have {allowed} at a time. Stop it first.",
    "nothing-active": "No run is active. Start one first.",
    "not-active": "The run {run!r} is not active.",
    "line-full": "{allowed} runs train or wait already. Try again when one has ended.",
    "time-is-up": "{run!r} has trained {minutes} minutes, the limit here. It is saved and can be resumed.",
    "paused-too-long": "{run!r} was paused for {minutes} minutes while others waited. It is saved and can be "
    "resumed.",
    "disk-full": "The runs on this server take {used} MB, and {allowed} MB is the limit. Delete a run first.",
    "disk-share": "Your runs take {used} MB, and one visitor may have {allowed} MB. Delete one first.",
    "cannot-pause": "{run!r} is {status}; only a run that is training can be paused.",
    "cannot-resume": "{run!r} is {status}; only a paused run can be resumed.",
    "cannot-step": "{run!r} is {status}; single steps need a paused run.",
    "run-failed": "The run {run!r} ended with an error: {reason}. The log has the details.",
    "length-reached": "{run!r} has reached its length ({length}). Give a larger one to continue.",
    "cuda-missing": "The device {device!r} was asked for, but PyTorch sees no such device here.",
    "no-port": "No port from {first} to {last} can be opened. "
    "Set HOST to an address of this machine and PORT to a free port.",
    # sampling
    "no-ema": "{run!r} has no EMA weights; sample the raw weights.",
    "no-raw": "{run!r} holds one generator only; sample its EMA weights.",
    "not-conditional": "{run!r} was not trained with labels, so no digit can be chosen.",
    "nothing-to-sample": "There is no generator yet. Train a run first.",
    "not-judged": "The judge knows the digits of {allowed} only; this run was trained on {dataset}.",
    # visitors
    "unknown-visitor": "This server does not know you. Reload the page; a program asks /visitor for a token.",
    "not-yours": "The run {run!r} is somebody else's. You can watch it and sample from it.",
    "presenter-only": "Only the presenter trains here. You can watch and sample.",
    "wrong-key": "That is not the presenter's key.",
    "too-many-requests": "That was too often: allowed is {allowed}. Wait a little.",
    # command line
    "wrong-output": "--out is {value!r}; it must end in .png or .npy.",
    "write-failed": "Could not write {file}: {reason}.",
    "bad-assignment": "--set needs field=value, got {value!r}.",
}


class GanError(Exception):
    """Base of every error that is meant for a person. `key` names the sentence, `values` fill it."""

    def __init__(self, key: str, **values: object) -> None:
        self.key = key
        self.values = values
        super().__init__(MESSAGES[key].format(**values))


class ConfigError(GanError):
    """A setting that is unknown, of the wrong type or out of range."""


class DataError(GanError):
    """A dataset that is missing or damaged."""


class CheckpointError(GanError):
    """A checkpoint that cannot be read or written."""


class RunError(GanError):
    """A command that does not fit the state of the runs."""


class TrainingError(GanError):
    """A training run that cannot go on."""


def reason_of(error: BaseException) -> str:
    """One line saying why `error` happened, for use inside a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
