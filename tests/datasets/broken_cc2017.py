"""What can be wrong with a CC2017."""

import shutil

import nibabel
import numpy as np
from broken import Break, forbidden, put, release, replaced
from nibabel.cifti2 import cifti2_axes

from brainreel.video import write_video

DATASET = "cc2017"
RUN = "video_fmri_dataset/subject1/fmri/test2/cifti/test2_7_Atlas.dtseries.nii"
FIRST = "video_fmri_dataset/subject1/fmri/seg1/cifti/seg1_1_Atlas.dtseries.nii"
VOLUME = "video_fmri_dataset/subject1/fmri/seg2/mni/seg2_2_mni.nii.gz"
MOVIE = "video_fmri_dataset/stimuli/test1.mp4"


def _cut(path, keep):
    replaced(path, path.read_bytes()[:keep])


def _cifti(path, change, axes=lambda series, brain: (series, brain)):
    image = nibabel.load(path)
    values = change(np.asarray(image.dataobj).copy())
    series, brain = axes(*(image.header.get_axis(k) for k in (0, 1)))
    series = cifti2_axes.SeriesAxis(0, 1, len(values), "SECOND") if len(series) != len(values) else series
    path.unlink()
    nibabel.save(nibabel.Cifti2Image(values, header=(series, brain)), path)


def _code(path, kind):
    """The header says that the values are of another kind (NIfTI-2: two bytes at byte 12)."""
    content = bytearray(path.read_bytes())
    content[12:14] = kind.to_bytes(2, "little")
    replaced(path, bytes(content))


def _nifti(path, change):
    image = nibabel.load(path)
    values = change(np.asarray(image.dataobj).copy())
    path.unlink()
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)


def _folder_for_a_file(path):
    path.unlink()
    path.mkdir()


def _copied_person(root):
    people = root / "video_fmri_dataset"
    shutil.rmtree(people / "subject2")
    shutil.copytree(people / "subject1", people / "subject2")


_SURFACE = {
    "missing run": (lambda k: (k / RUN).unlink(), r"test2_7_Atlas\.dtseries\.nii is missing; expected the 72 runs"),
    "missing runs": (
        lambda k: shutil.rmtree((k / RUN).parent),
        r"test2_1_Atlas\.dtseries\.nii \(and 9 more\) is missing.*--subjects",
    ),
    "folder for a file": (lambda k: _folder_for_a_file(k / RUN), "is missing"),
    "truncated": (lambda k: _cut(k / RUN, 60_000), r"test2_7.* is cut off \(\d+ bytes are missing\)"),
    "header truncated": (lambda k: _cut(k / RUN, 700), r"test2_7.* cannot be read"),
    "empty": (lambda k: replaced(k / RUN, b""), r"test2_7.* has 0 bytes; expected a CIFTI file"),
    "a web page": (lambda k: replaced(k / RUN, b"<html>404</html>" * 100), r"test2_7.* cannot be read"),
    "another format": (
        lambda k: (
            (k / RUN).unlink(),
            nibabel.save(nibabel.Nifti2Image(np.zeros((2, 2, 2, 29), np.float32), np.eye(4)), k / RUN),
        ),
        "test2_7.* is no CIFTI file",
    ),
    "too few volumes": (lambda k: _cifti(k / RUN, lambda v: v[:-1]), r"\(29, \d+\); expected \(30, \d+\)"),
    "too many volumes": (
        lambda k: _cifti(k / FIRST, lambda v: np.vstack([v, v[:1]])),
        r"seg1_1.*\(30, \d+\); expected \(29",
    ),
    "too few grayordinates": (
        lambda k: _cifti(k / RUN, lambda v: v[:, :-1], lambda series, brain: (series, brain[:-1])),
        r"shape \(30, \d+\); expected",
    ),
    "hemispheres swapped": (
        lambda k: _cifti(
            k / RUN,
            lambda v: v,
            lambda series, brain: (series, brain[len(brain) // 2 :] + brain[: len(brain) // 2]),
        ),
        "begins with cortex_right",
    ),
    "NaN": (lambda k: _cifti(k / RUN, put((7, 3), np.nan)), r"test2_7.* has 1 values that are NaN"),
    "infinity": (lambda k: _cifti(k / RUN, put((7, slice(0, 2)), np.inf)), r"test2_7.* has 2 values"),
    "complex numbers": (lambda k: _code(k / RUN, 32), "test2_7.* holds complex64 values; expected numbers"),
    "a dead run": (lambda k: _cifti(k / RUN, lambda v: np.full_like(v, 9000)), "nothing changes in"),
    "copied person": (_copied_person, "subject2/seg1_1 is identical to bold/subject1/seg1_1"),
    "copied run": (
        lambda k: ((k / RUN).unlink(), shutil.copy(k / RUN.replace("_7_", "_8_"), k / RUN)),
        "test2_8 is identical to bold/subject1/test2_7",
    ),
    "movie missing": (lambda k: (k / MOVIE).unlink(), r"test1\.mp4 is missing.*--stimuli"),
    "movie truncated": (lambda k: _cut(k / MOVIE, 400), r"test1\.mp4 cannot be read"),
    "movie empty": (lambda k: replaced(k / MOVIE, b""), r"test1\.mp4 cannot be read"),
    "movie too short": (
        lambda k: (
            (k / MOVIE).unlink(),
            write_video(k / MOVIE, np.zeros((40, 16, 16, 3), np.uint8), fps=8),
        ),
        r"test1\.mp4 lasts 5\.0 s; expected 48 s",
    ),
    "captions of no clip": (
        lambda k: replaced(k / "captions.tsv", b"clip_id\tcaptions\nseg9-000\ta dog\n"),
        r"captions\.tsv names the clip 'seg9-000'; expected seg1-000",
    ),
    "captions twice": (
        lambda k: replaced(k / "captions.tsv", b"clip_id\tcaptions\n" + b"seg1-000\ta dog\n" * 2),
        r"captions\.tsv names the clip 'seg1-000' twice",
    ),
    "captions empty": (lambda k: replaced(k / "captions.tsv", b""), r"captions\.tsv cannot be read"),
    "no people": (
        lambda k: [shutil.rmtree(p) for p in (k / "video_fmri_dataset").glob("subject*")],
        "has no folders subject1",
    ),
    "card broken": (lambda k: replaced(k / "twin.json", b"{"), r"twin\.json cannot be read"),
    "real facts demanded": (lambda k: (k / "twin.json").unlink(), r"is missing|lasts"),
    "map missing": (lambda k: next(k.glob("*.dlabel.nii")).unlink(), "names the areas of 91282 grayordinates"),
}
_VOLUMES = {
    "NaN": (put((1, 1, 1, 7), np.nan), r"seg2_2_mni\.nii\.gz has 1 values"),
    "another grid": (lambda v: v[:-1], r"has the shape \(8, 12, 10, 29\); expected \(9, 12, 10, 29\)"),
    "too few volumes": (lambda v: v[..., :-1], r"\(9, 12, 10, 28\)"),
    "one volume": (lambda v: v[..., 0], r"has the shape \(9, 12, 10\); expected \(x, y, z, volumes\)"),
}
BREAKS = {
    **{name: Break(release(damage), message) for name, (damage, message) in _SURFACE.items()},
    **{
        f"volumes: {name}": Break(release(lambda k, d=damage: _nifti(k / VOLUME, d)), message, ("--space", "MNI152"))
        for name, (damage, message) in _VOLUMES.items()
    },
    "volumes: truncated": Break(
        release(lambda k: _cut(k / VOLUME, 20_000)), r"seg2_2_mni\.nii\.gz cannot be read", ("--space", "MNI152")
    ),
    "permission denied": Break(
        forbidden(RUN), r"test2_7_Atlas\.dtseries\.nii may not be read \(permission denied\).*change its permissions"
    ),
    "wrong subject": Break(
        release(str), "subject 'subject9' is not in .* expected some of subject1, subject2", ("--subjects", "subject9")
    ),
    "duplicate subject": Break(release(str), "each once", ("--subjects", "subject1", "subject1")),
    "no such area": Break(release(str), "has no area 'V77'", ("--space", "fsLR32k/V77")),
    "no such space": Break(release(str), "there is no space 'MNI' here", ("--space", "MNI")),
    "movies elsewhere": Break(release(str), r"/nowhere/seg1\.mp4 is missing", ("--stimuli", "/nowhere")),
}
