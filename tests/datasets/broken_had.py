"""What can be wrong with a HAD."""

import shutil

import nibabel
import numpy as np
import pandas as pd
from broken import Break, forbidden, put, release, replaced
from nibabel.cifti2 import cifti2_axes

from brainreel.datasets import had_files as files
from brainreel.datasets.had import FACTS
from brainreel.datasets.protocol import facts_of

DATASET = "had"


def _events(k, run=4):
    return files.func_path(k, "sub-02", run, "events.tsv")


def _raw(k):
    return files.func_path(k, "sub-02", 4, "bold.nii.gz")


def _betas(k):
    return files.beta_path(k, "sub-02", 3)


def _labels(k):
    return files.beta_path(k, "sub-02", 3, "label.txt")


def _table(path, change):
    table = pd.read_csv(path, sep="\t")
    table = change(table)
    path.unlink()
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")


def _cell(column, row, value):
    def change(table):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return change


def _values(path, change):
    image = nibabel.load(path)
    values = change(np.asarray(image.dataobj).copy())
    names = cifti2_axes.ScalarAxis([f"map-{k}" for k in range(len(values))])
    brain = image.header.get_axis(1)[: values.shape[1]]
    path.unlink()
    nibabel.save(nibabel.Cifti2Image(values, header=(names, brain)), path)


def _lines(path, change):
    lines = change(path.read_text().splitlines())
    replaced(path, "".join(f"{line}\n" for line in lines).encode())


def _swapped(lines):
    """Two clips whose classes begin with different words."""
    first = [files.PurePosixPath(line).name.replace(" ", "_").split("_")[1] for line in lines]
    other = next(k for k, word in enumerate(first) if word != first[0])
    lines[0], lines[other] = lines[other], lines[0]
    return lines


def _copied_person(k):
    shutil.rmtree(k / "sub-02")
    shutil.copytree(k / "sub-01", k / "sub-02")
    for path in (k / "sub-02").rglob("sub-01*"):
        path.rename(path.with_name(path.name.replace("sub-01", "sub-02")))


def _copied_betas(k):
    """The second person's betas are the first one's, in the second one's order: nothing but the values tells."""
    facts, _ = facts_of(k, FACTS)
    for cycle in range(1, 5):
        of = {}
        for who in ("sub-01", "sub-02"):
            events = files.read_events(k, who, facts)
            of[who] = events.loc[events["cycle"] == cycle, "class"].to_numpy(int) - 1
        values = np.asarray(nibabel.load(files.beta_path(k, "sub-01", cycle)).dataobj)
        swapped = np.empty_like(values)
        swapped[of["sub-02"]] = values[of["sub-01"]]
        _values(files.beta_path(k, "sub-02", cycle), lambda _, new=swapped: new)


def _first_clip(k):
    return sorted((k / "stimuli").rglob("*.mp4"))[0]


def _box(path, change):
    image = nibabel.load(path)
    values = change(np.asarray(image.dataobj).astype(np.float32))
    path.unlink()
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)


_BETAS = {
    "events missing": (lambda k: _events(k).unlink(), r"run-04_events\.tsv is missing"),
    "events empty": (lambda k: replaced(_events(k), b""), r"run-04_events\.tsv cannot be read"),
    "events binary": (lambda k: replaced(_events(k), b"\xff\xfe\x00\x01" * 50), r"run-04_events\.tsv"),
    "events without rows": (lambda k: _table(_events(k), lambda t: t[:0]), r"run-04_events\.tsv has no rows"),
    "no column of clips": (
        lambda k: _table(_events(k), lambda t: t.drop(columns="stim_file")),
        "expected a column 'stim_file'",
    ),
    "onset in words": (lambda k: _table(_events(k), _cell("onset", 2, "soon")), r"run-04.*'onset' that are no numbers"),
    "onset unknown": (lambda k: _table(_events(k), _cell("onset", 2, np.nan)), "'onset' that are no numbers"),
    "onset infinite": (lambda k: _table(_events(k), _cell("onset", 2, np.inf)), r"'onset' that are no numbers"),
    "onset after the run": (lambda k: _table(_events(k), _cell("onset", 5, 400)), "a trial at 400 s in row 6"),
    "onsets out of order": (lambda k: _table(_events(k), lambda t: t[::-1]), "in row 2; expected ascending onsets"),
    "a trial lost": (lambda k: _table(_events(k), lambda t: t[:-1]), r"miss class \d+ in cycle 2"),
    "a class twice": (lambda k: _table(_events(k), _cell("trial_type", 1, 1)), r"in cycle 2"),
    "class in words": (lambda k: _table(_events(k), _cell("trial_type", 1, "dog")), "'trial_type' that are no numbers"),
    "a clip twice": (
        lambda k: _table(
            _events(k), lambda t: t.assign(stim_file=t["stim_file"].where(t.index != 1, t["stim_file"][0]))
        ),
        r"show 'v_.*' twice",
    ),
    "a path out of the folder": (
        lambda k: _table(_events(k), _cell("stim_file", 1, "../../etc/v_passwd_id_1.mp4")),
        r"names the clip '\.\./\.\./etc/v_passwd_id_1\.mp4'; expected .*inside stimuli/",
    ),
    "an absolute path": (lambda k: _table(_events(k), _cell("stim_file", 1, "/v_a_id_1.mp4")), "names the clip '/v_a"),
    "a hidden way out": (lambda k: _table(_events(k), _cell("stim_file", 1, "..\\v_a_id_1.mp4")), "names the clip"),
    "no clip's name": (lambda k: _table(_events(k), _cell("stim_file", 1, "A/B/c.mp4")), "names the clip 'A/B/c.mp4'"),
    "betas missing": (lambda k: _betas(k).unlink(), r"cycle-3_beta\.dscalar\.nii is missing"),
    "betas truncated": (
        lambda k: replaced(_betas(k), _betas(k).read_bytes()[:40_000]),
        r"cycle-3_beta\.dscalar\.nii cannot be read",
    ),
    "betas empty": (lambda k: replaced(_betas(k), b""), r"cycle-3_beta\.dscalar\.nii cannot be read"),
    "betas with NaN": (lambda k: _values(_betas(k), put((3, 2), np.nan)), "cycle-3_beta.* has 1 values that are NaN"),
    "infinite betas": (lambda k: _values(_betas(k), put((3, slice(2)), -np.inf)), "cycle-3_beta.* has 2 values"),
    "a class's betas lost": (lambda k: _values(_betas(k), lambda v: v[:-1]), r"\(17, \d+\); expected \(18, \d+\)"),
    "vertices lost": (lambda k: _values(_betas(k), lambda v: v[:, :-5]), r"shape \(18, \d+\); expected"),
    "labels missing": (lambda k: _labels(k).unlink(), r"cycle-3_label\.txt is missing"),
    "labels empty": (lambda k: replaced(_labels(k), b""), r"cycle-3_label\.txt names 0 clips; expected 18"),
    "labels binary": (lambda k: replaced(_labels(k), b"\xff\x00\xfe"), r"cycle-3_label\.txt cannot be read"),
    "a label lost": (lambda k: _lines(_labels(k), lambda x: x[1:]), "names 17 clips; expected 18"),
    "labels swapped": (lambda k: _lines(_labels(k), _swapped), r"line 1 of .*cycle-3_label\.txt is 'v_"),
    "labels of another cycle": (
        lambda k: replaced(_labels(k), files.beta_path(k, "sub-02", 2, "label.txt").read_bytes()),
        r"cycle-3_label\.txt names 'v_.*'; expected clips that the events of this cycle show",
    ),
    "the wrong person's results": (
        lambda k: [
            replaced(files.beta_path(k, "sub-02", c, s), files.beta_path(k, "sub-01", c, s).read_bytes())
            for c in range(1, 5)
            for s in ("beta.dscalar.nii", "label.txt")
        ],
        r"sub-02.*cycle-1_label\.txt names 'v_",
    ),
    "a copied person": (_copied_person, "two people in .* saw the clip"),
    "copied betas": (_copied_betas, "responses/sub-02 is identical to responses/sub-01"),
    "a clip missing": (lambda k: _first_clip(k).unlink(), r"stimuli has no clip '.*'; expected every clip"),
    "clips missing": (lambda k: shutil.rmtree(_first_clip(k).parent), r"\(and \d+ more\)"),
    "no people": (lambda k: [shutil.rmtree(p) for p in k.glob("sub-*")], "has no folders sub-01"),
    "card broken": (lambda k: replaced(k / "twin.json", b"[]"), r"twin\.json cannot be read"),
    "real facts demanded": (lambda k: (k / "twin.json").unlink(), "miss class 19 in cycle 1"),
}
_RAW = {
    "missing": (lambda k: _raw(k).unlink(), r"run-04_bold\.nii\.gz is missing"),
    "truncated": (lambda k: replaced(_raw(k), _raw(k).read_bytes()[:9000]), r"run-04_bold\.nii\.gz cannot be read"),
    "too few volumes": (
        lambda k: _box(_raw(k), lambda v: v[..., :-1]),
        r"\(9, 12, 10, 20\); expected \(9, 12, 10, 21\)",
    ),
    "another grid": (lambda k: _box(_raw(k), lambda v: v[:, :-1]), r"\(9, 11, 10, 21\)"),
    "NaN": (lambda k: _box(_raw(k), put((2, 3, 4, 5), np.nan)), r"run-04_bold\.nii\.gz has 1 values"),
    "dead": (lambda k: _box(_raw(k), np.zeros_like), "nothing changes in all of .*sub-02"),
}
BREAKS = {
    **{name: Break(release(damage), message) for name, (damage, message) in _BETAS.items()},
    **{
        f"runs: {name}": Break(release(damage), message, ("--space", "native"))
        for name, (damage, message) in _RAW.items()
    },
    "permission denied": Break(
        forbidden("derivatives/ciftify/sub-02/results/ses-action01_task-action_cycle-3_label.txt"),
        r"cycle-3_label\.txt may not be read \(permission denied\)",
    ),
    "wrong subject": Break(release(str), "subject 'sub-77' is not in", ("--subjects", "sub-77")),
    "no such space": Break(release(str), "there is no space 'fsLR32k/' here", ("--space", "fsLR32k/")),
    "clips elsewhere": Break(release(str), "there is no folder /nowhere", ("--stimuli", "/nowhere")),
}
