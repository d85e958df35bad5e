"""Broken copies of the prepared pickles of 41 areas."""

import shutil

import numpy as np
from broken import Break, copied, empty, folder, forbidden, malicious, missing, repickled, text, truncated

DATASET = "group41"
NAME = "GLMsingle/prepared_allvoxel_pkl/Group41_betas-GLMsingle_type-typed_z=1.pkl"
FIRST, SECOND = f"sub-01/{NAME}", f"sub-02/{NAME}"
NOTES = "derivatives/stimuli_metadata/annotations.json"


def _changed(key, change):
    return repickled(SECOND, lambda found: {**found, key: change(found[key])})


def _without(key):
    return repickled(SECOND, lambda found: {k: v for k, v in found.items() if k != key})


def _nan(betas):
    betas[1, 2, 3] = np.nan
    return betas


BREAKS = {
    "nobody": Break(lambda s, p: [missing(path)(s, p) for path in (FIRST, SECOND)], r"has no Group41_betas-\*\.pkl"),
    "truncated": Break(truncated(FIRST), "sub-01.*cannot be read"),
    "empty": Break(empty(FIRST), "cannot be read"),
    "no pickle": Break(text(FIRST), "cannot be read"),
    "folder for a file": Break(folder(FIRST), "cannot be read"),
    "permission denied": Break(forbidden(SECOND), "sub-02.*permission denied"),
    "malicious": Break(malicious(FIRST), r"asks for builtins\.exec"),
    "malicious inside": Break(
        malicious(SECOND, lambda evil: {"train_data_allvoxel": evil}), r"asks for builtins\.exec"
    ),
    "no dict": Break(repickled(SECOND, lambda f: list(f)), "holds a list; expected a dict"),
    "NaN": Break(_changed("test_data_allvoxel", _nan), "1 values that are NaN or infinite, in 1 of 588"),
    "integers": Break(_changed("train_data_allvoxel", lambda b: b.astype(int)), "holds int64 values"),
    "clips lost": Break(_changed("train_data_allvoxel", lambda b: b[:-1]), r"\(39, 3, 588\); expected \(40, …, 588\)"),
    "vertices lost": Break(
        _changed("test_data_allvoxel", lambda b: b[..., 1:]), r"\(6, 10, 587\); expected \(6, …, 588\)"
    ),
    "averaged over all": Break(
        _changed("test_data_allvoxel", lambda b: b.mean()), "has roi_indices|has .*expected test"
    ),
    "no test set": Break(_without("test_data_allvoxel"), "expected test_data_allvoxel and test_stim_order"),
    "no order": Break(_without("train_stim_order"), "expected train_data_allvoxel and train_stim_order"),
    "order of numbers": Break(_changed("train_stim_order", lambda n: list(range(40))), "expected names"),
    "traversal": Break(
        _changed("train_stim_order", lambda n: ["../../../etc/passwd", *n[1:]]),
        "names a stimulus '../../../etc/passwd'",
    ),
    "absolute path": Break(_changed("train_stim_order", lambda n: ["/etc/passwd", *n[1:]]), "names a stimulus '/etc"),
    "no indices": Break(_without("roi_indices_hcp"), "0 roi_indices_hcp.*expected 588 numbers"),
    "another region's indices": Break(_changed("roi_indices_hcp", lambda i: i + 1), "not the vertices of the 41 areas"),
    "an index twice": Break(_changed("roi_indices_hcp", lambda i: np.r_[i[1], i[1:]]), "not the vertices of the 41"),
    "two people are one": Break(copied(FIRST, SECOND), "responses/sub-02 is identical to responses/sub-01"),
    "two kinds of betas": Break(
        lambda s, p: shutil.copy(s / FIRST, (s / FIRST).with_name("Group41_betas-GLMsingle_type-typeb_z=1.pkl")),
        "has 2 files Group41_betas",
    ),
    "an unknown person": Break(lambda s, p: None, "subject 'sub-03' is not in", ("--subjects", "sub-03")),
    "an unknown space": Break(lambda s, p: None, "expected fsLR32k/group41", ("--space", "fsLR32k/cortex")),
    "annotations broken": Break(truncated(NOTES), r"annotations\.json cannot be read"),
    "a video missing": Break(missing("stimuli/test/1003.mp4"), "no video of 'vid1003', and lacks 1 of 46"),
    "stimuli elsewhere": Break(lambda s, p: None, "is no folder", ("--stimuli", "{source}/nowhere")),
    "a clip in both sets": Break(_changed("test_stim_order", lambda n: ["vid0001", *n[1:]]), "both train and test"),
}
