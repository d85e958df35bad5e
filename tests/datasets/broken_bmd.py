"""Broken copies of BOLD Moments."""

import json
import shutil

import numpy as np
from broken import (
    Break,
    copied,
    empty,
    files,
    folder,
    forbidden,
    malicious,
    missing,
    repickled,
    text,
    truncated,
)

DATASET = "bmd"
GLM = "derivatives/versionB/fsLR32k/GLM"
BETAS = GLM + "/{0}/prepared_betas/{0}_organized_betas_task-{1}_normalized.pkl"
TRAIN, TEST = BETAS.format("sub-01", "train"), BETAS.format("sub-02", "test")
MNI = TRAIN.replace("fsLR32k", "MNI152")
LEFT = TRAIN.replace("fsLR32k", "fsaverage").replace("task-train", "task-train_hemi-left")
ROI = "derivatives/versionA/MNI152/prepared_data/prepared_allvoxel_pkl/TRavg56789/sub-01/V1d_TRavg-56789_allvoxel.pkl"
NOTES = "derivatives/stimuli_metadata/annotations.json"
SESSION = GLM + "/sub-01/ses-03"
RESULT, ORDER = SESSION + "/TYPED_FITHRF_GLMDENOISE_RR.npy", SESSION + "/sub-01_ses-03_conditionOrderDM.pkl"
V1 = "fsLR32k/V1"


def _betas(path, change):
    return repickled(path, lambda found: (change(found[0]), *found[1:]))


def _set(value):
    def change(betas):
        # The first grayordinate is in V1, which every space here has.
        betas[2, 1, 0] = value
        return betas

    return change


def _names(path, change):
    return repickled(path, lambda found: (found[0], change(list(found[1])), *found[2:]))


def _told(change):
    def again(path):
        told = json.loads(path.read_text())
        change(told)
        path.write_text(json.dumps(told))

    return files(again, NOTES)


def _unprepared(damage):
    """GLMsingle's own output is read where nothing was prepared."""

    def both(source, patch):
        shutil.rmtree(source / GLM / "sub-01" / "prepared_betas")
        damage(source, patch)

    return both


def _result(change):
    def again(path):
        found = np.load(path, allow_pickle=True).item()
        change(found)
        np.save(path, np.array(found, dtype=object), allow_pickle=True)

    return _unprepared(files(again, RESULT))


class _Evil:
    def __reduce__(self):
        import os

        return (os.system, ("true",))


BREAKS = {
    "pickle missing": Break(missing(TEST), r"sub-02_organized.*task-test.*is missing"),
    "pickle truncated": Break(truncated(TRAIN), r"sub-01.*cannot be read \(it ends at byte \d+; its values end"),
    "pickle cut early": Break(truncated(TRAIN, 0.00003), "cannot be read"),
    "pickle empty": Break(empty(TRAIN), "cannot be read"),
    "no pickle at all": Break(text(TRAIN), "cannot be read.*expected a pickle"),
    "folder for a pickle": Break(folder(TRAIN), "cannot be read"),
    "permission denied": Break(forbidden(TEST), r"sub-02.*may not be read \(permission denied\)"),
    "malicious": Break(malicious(TRAIN), r"asks for builtins\.exec.*nothing of it was executed"),
    "malicious inside": Break(
        malicious(TEST, lambda evil: (np.ones((6, 10, 906)), [evil])), r"asks for builtins\.exec"
    ),
    "NaN": Break(_betas(TRAIN, _set(np.nan)), r"1 values that are NaN or infinite, in 1 of 588 vertices"),
    "infinite": Break(_betas(TEST, _set(-np.inf)), "sub-02.*1 values that are NaN"),
    "beyond half precision": Break(_betas(TEST, _set(1e6)), "NaN or infinite"),
    "too few vertices": Break(_betas(TRAIN, lambda b: b[..., :-1]), r"\(40, 3, 905\); expected \(40, 3, 906\) \(clips"),
    "too few repetitions": Break(_betas(TRAIN, lambda b: b[:, :2]), r"\(40, 2, 906\); expected \(40, 3, 906\)"),
    "too few clips": Break(_betas(TEST, lambda b: b[:-1]), r"\(5, 10, 906\); expected \(6, 10, 906\)"),
    "averaged": Break(_betas(TEST, lambda b: b.mean(axis=1)), r"\(6, 906\); expected \(6, 10, 906\)"),
    "integers": Break(_betas(TRAIN, lambda b: b.astype(int)), "holds int64 values; expected float64"),
    "complex": Break(_betas(TRAIN, lambda b: b.astype(complex)), "holds complex128 values"),
    "no tuple": Break(repickled(TRAIN, lambda found: found[0]), "holds an array; expected a tuple"),
    "a dict": Break(repickled(TRAIN, lambda found: {"betas": found[0]}), "holds a dict; expected a tuple"),
    "numbers for names": Break(_names(TRAIN, lambda n: list(range(len(n)))), "order of clips; expected names"),
    "a clip twice": Break(_names(TRAIN, lambda n: [n[0], *n[:-1]]), "differ from the annotations in 'vid0040'"),
    "a foreign clip": Break(_names(TEST, lambda n: [*n[:-1], "vid0001"]), "differ from the annotations in 'vid0001'"),
    "a path for a name": Break(_names(TEST, lambda n: ["../../etc/passwd", *n[1:]]), "differ.*passwd"),
    "two people are one": Break(
        lambda s, p: [copied(BETAS.format("sub-01", r), BETAS.format("sub-02", r))(s, p) for r in ("train", "test")],
        "responses/sub-02 is identical to responses/sub-01",
    ),
    "an eleventh person": Break(
        lambda s, p: shutil.copytree(s / GLM / "sub-02", s / GLM / "sub-11"), "subject 'sub-11'; expected sub-01 to"
    ),
    "nobody": Break(lambda s, p: shutil.rmtree(s / GLM), "no folders of subjects"),
    "an unknown person": Break(lambda s, p: None, "subject 'sub-07' is not in", ("--subjects", "sub-07")),
    "annotations missing": Break(missing(NOTES), r"annotations\.json is missing"),
    "annotations truncated": Break(truncated(NOTES), r"annotations\.json cannot be read"),
    "annotations forbidden": Break(forbidden(NOTES), "permission denied"),
    "annotations a list": Break(text(NOTES, "[]"), "describes no clips; expected 46"),
    "a clip not annotated": Break(_told(lambda t: t.pop("0003")), "describes 45 clips; expected 46"),
    "traversal in a clip": Break(
        _told(lambda t: t.__setitem__("../../../etc/passwd", t.pop("0003"))), "names a clip '../../../etc/passwd'"
    ),
    "no captions": Break(
        _told(lambda t: t["0003"].update(text_descriptions=[])), "no text_descriptions of clip '0003'"
    ),
    "an unknown set": Break(_told(lambda t: t["0003"].update(set="val")), "clip '0003' into the set 'val'"),
    "a clip moved to test": Break(_told(lambda t: t["0003"].update(set="test")), r"no 0003\.mp4"),
    "a video missing": Break(missing("stimuli/train/0007.mp4"), r"no 0007\.mp4, and lacks 1 of 46"),
    "a video in the other set": Break(
        lambda s, p: (s / "stimuli/train/0007.mp4").rename(s / "stimuli/test/0007.mp4"), r"no 0007\.mp4"
    ),
    "a video empty": Break(empty("stimuli/train/0007.mp4"), r"0007\.mp4 is empty"),
    "stimuli elsewhere are not there": Break(lambda s, p: None, "is no folder", ("--stimuli", "{source}/nowhere")),
    "stimuli elsewhere are none": Break(
        lambda s, p: None, "lacks 46 of 46", ("--stimuli", "{source}/derivatives/stimuli_metadata")
    ),
    "an unknown space": Break(lambda s, p: None, "no space 'MNI305'", ("--space", "MNI305")),
    "an unknown area": Break(lambda s, p: None, "no area 'V99'", ("--space", "fsLR32k/V1+V99")),
    "the map is of other files": Break(missing("HCP-MMP1.dlabel.nii"), "areas of 91282 grayordinates; expected 906"),
    "the map is damaged": Break(truncated("HCP-MMP1.dlabel.nii"), "dlabel.*cannot be read"),
    "not a twin any more": Break(missing("twin.json"), "describes 46 clips; expected 1102"),
    "MNI152: no mask": Break(repickled(MNI, lambda f: f[:2]), "mask of 0 voxels", ("--space", "MNI152")),
    "MNI152: malicious": Break(malicious(MNI), "asks for builtins.exec", ("--space", "MNI152")),
    "MNI152: areas": Break(lambda s, p: None, "expected MNI152", ("--space", "MNI152/V1")),
    "fsaverage: a hemisphere missing": Break(missing(LEFT), "hemi-left.*is missing", ("--space", "fsaverage")),
    "fsaverage: orders differ": Break(
        _names(LEFT, lambda n: [*n[:-1], "vid2000"]), "differ from the annotations", ("--space", "fsaverage")
    ),
    "versionA: malicious": Break(malicious(ROI), "asks for builtins.exec", ("--space", "versionA")),
    "versionA: no arrays": Break(repickled(ROI, lambda f: {}), "lacks arrays", ("--space", "versionA")),
    "versionA: an unknown region": Break(lambda s, p: None, "no region 'V9'", ("--space", "versionA/V9")),
    "versionA: a region nobody reads": Break(
        lambda s, p: None, "no voxels in TOS", ("--space", "versionA/TOS", "--subjects", "sub-02")
    ),
    "GLMsingle: a session missing": Break(
        _unprepared(lambda s, p: shutil.rmtree(s / SESSION)), r"ses-03.*conditionOrderDM\.pkl is missing"
    ),
    "GLMsingle: result missing": Break(_unprepared(missing(RESULT)), r"TYPED.*\.npy is missing"),
    "GLMsingle: result truncated": Break(_unprepared(truncated(RESULT)), r"TYPED.*cannot be read"),
    "GLMsingle: no npy": Break(_unprepared(text(RESULT)), r"TYPED.*cannot be read"),
    "GLMsingle: malicious": Break(
        _unprepared(
            files(lambda p: np.save(p, np.array({"betasmd": _Evil()}, dtype=object), allow_pickle=True), RESULT)
        ),
        r"asks for \w+\.system",
    ),
    "GLMsingle: order malicious": Break(_unprepared(malicious(ORDER)), r"asks for builtins\.exec"),
    "GLMsingle: trials lost": Break(
        _result(lambda f: f.update(betasmd=f["betasmd"][..., :-1])), r"\(906, 1, 1, 44\); expected \(906, 1, 1, 45\)"
    ),
    "GLMsingle: no betas": Break(_result(lambda f: f.pop("betasmd")), "has no betasmd"),
    "GLMsingle: a dead vertex": Break(
        _result(lambda f: f["betasmd"].__setitem__(0, 1.0)), "NaN or infinite, in 1 of 588 vertices"
    ),
    "GLMsingle: a foreign clip": Break(
        _unprepared(repickled(ORDER, lambda f: ([{**f[0][0], "trial_type": ["vid0999"] * 5}, *f[0][1:]], f[1]))),
        "shows a clip 'vid0999'",
    ),
    "GLMsingle: a run shown twice": Break(
        _unprepared(repickled(ORDER, lambda f: ([f[0][0], f[0][0], *f[0][2:]], f[1]))), r"show clip '\w+' \d+ times"
    ),
}
