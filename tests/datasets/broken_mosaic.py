"""Broken copies of MOSAIC."""

import shutil

import numpy as np
from broken import Break, copied, empty, files, folder, forbidden, missing, text, truncated

DATASET = "mosaic"
FIRST, PLAIN, HAD = "sub-01_BMD.hdf5", "sub-02_BMD.hdf5", "sub-01_HAD.hdf5"
TRIAL = "sub-01_BMD_stimulus-vid0003_phase-train_rep-1"


def _in(name, change):
    def again(path):
        import h5py

        with h5py.File(path, "r+") as file:
            change(file)

    return files(again, name)


def _trial(change, name=FIRST, trial=TRIAL):
    def again(file):
        values = file["betas"][trial][()]
        attributes = dict(file["betas"][trial].attrs)
        del file["betas"][trial]
        file["betas"][trial] = change(values)
        file["betas"][trial].attrs.update(attributes)

    return _in(name, again)


def _attribute(key, value):
    return _in(FIRST, lambda file: file["betas"][TRIAL].attrs.__setitem__(key, value))


def _renamed(to, name=PLAIN, trial="vid0003_rep-1"):
    return _in(name, lambda file: file["betas"].move(trial, to))


def _set(index, value):
    def change(values):
        values[index] = value
        return values

    return change


def _lost(values):
    def change(file):
        del file["nan_indices_all"]
        file["nan_indices_all"] = values

    return _in(FIRST, change)


BREAKS = {
    "nobody": Break(missing(FIRST, PLAIN, HAD), "has 0 files; expected sub-XX_DATASET"),
    "truncated": Break(truncated(FIRST), r"sub-01_BMD\.hdf5 cannot be read"),
    "empty": Break(empty(FIRST), r"sub-01_BMD\.hdf5 cannot be read"),
    "no HDF5": Break(text(FIRST), r"sub-01_BMD\.hdf5 cannot be read"),
    "folder for a file": Break(folder(FIRST), r"sub-01_BMD\.hdf5 cannot be read"),
    "permission denied": Break(forbidden(PLAIN), "sub-02_BMD.*permission denied"),
    "merged file": Break(
        lambda s, p: (s / FIRST).rename(s / "mosaic_version-1_0_0.hdf5"), "is not the file of one person"
    ),
    "no betas": Break(_in(FIRST, lambda f: f.__delitem__("betas")), "expected a group betas"),
    "no trials": Break(_in(FIRST, lambda f: [f["betas"].__delitem__(k) for k in list(f["betas"])]), "a group betas"),
    "NaN that is not listed": Break(_trial(_set(0, np.nan)), "1 values that are NaN or infinite, in 1 of 585"),
    "infinite": Break(_trial(_set(0, np.inf)), "NaN or infinite"),
    "too few vertices": Break(_trial(lambda v: v[:-1]), r"has the shape \(905,\).*expected \(906,\)"),
    "integers": Break(_trial(lambda v: v.astype(int)), "int64 values; expected"),
    "text": Break(_trial(lambda v: "betas"), r"has the shape \(\)"),
    "a name without repetition": Break(_renamed("vid0003_again"), "has a trial 'vid0003_again'"),
    "a repetition twice": Break(_renamed("vid0003_rep-02"), "repetition of 'vid0003' twice"),
    "another phase than its name": Break(_attribute("phase", "test"), "says phase 'test'; expected train"),
    "another repetition than its name": Break(_attribute("repetition", 2), "says repetition"),
    "an unknown phase": Break(_attribute("phase", "pilot"), "of the phase 'pilot'"),
    "another stimulus than its name": Break(
        _attribute("presented_stimulus_filename", "vid0004.mp4"),
        "shows 'vid0004.mp4'; expected the stimulus of its name",
    ),
    "traversal": Break(
        _attribute("presented_stimulus_filename", "../../../../etc/passwd"), "names a stimulus '../../../../etc/passwd'"
    ),
    "backslashes": Break(_attribute("presented_stimulus_filename", "..\\..\\x.mp4"), "names a stimulus"),
    "no phase and no name that tells": Break(
        _in(PLAIN, lambda f: [f["betas"].move(k, f"img{k}") for k in list(f["betas"])]),
        r"does not say whether the clip 'img",
    ),
    "lost vertices beyond the last": Break(_lost(np.array([3, 906])), "nan_indices_all.*no vertices"),
    "lost vertices below zero": Break(_lost(np.array([-1])), "no vertices"),
    "a mask of another size": Break(_lost(np.zeros(905, bool)), "no vertices; expected numbers below 906"),
    "all is lost": Break(_lost(np.arange(906)), "no vertex of fsLR32k/group41 has signal"),
    "two people are one": Break(copied(FIRST, "sub-02_BMD.hdf5"), "sub-02_BMD is identical to responses/sub-01_BMD"),
    "too many people": Break(
        lambda s, p: shutil.copy(s / HAD, s / "sub-09_HAD.hdf5"), "has 4 files; expected.*at most 3"
    ),
    "an unknown person": Break(lambda s, p: None, "'sub-09_BMD' is not in", ("--subjects", "sub-09_BMD")),
    "an unknown area": Break(lambda s, p: None, "no area 'V99'", ("--space", "fsLR32k/V99")),
    "a video missing": Break(missing("stimuli/train/0007.mp4"), "no video of 'vid0007', and lacks 1 of 106"),
    "annotations broken": Break(
        truncated("derivatives/stimuli_metadata/annotations.json"), r"annotations\.json cannot be read"
    ),
}
