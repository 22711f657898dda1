"""What a checkpoint's file name says of when it was saved: a step, an epoch, or a bare number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from convviz_widgets.checkpoints.names import without_suffix
from convviz_widgets.checkpoints.training_time import EPOCH, STEP, TrainingTime

# The rules, as a table: what a number means by the word before it. A time word also takes a number
# right before it, "5_epochs"; of two numbers of one meaning the word that stands first here counts.
_TIME_WORDS = {
    STEP: "globalstep globalsteps step steps iter iters iteration iterations it its itr itrs "
    "update updates",
    EPOCH: "epoch epochs ep",
}
# "step" behind one of these is a setting, not a time.
_LIMITS = "max total warmup inference sampling diffusion denoising accum accumulation per time"
# A number glued to one of these is a bare one, "model7"; glued to any other word it is a part of
# the word, as in resnet18, top5, fold3, lr0.001, "v1".
_FILES = (
    "model models checkpoint checkpoints ckpt chkpt cp net network weights weight snapshot snap "
    "kimg"
)
# Values of metrics: a number behind one of these, glued or not, is never a time.
_METRICS = (
    "loss acc accuracy top prec precision recall sens sensitivity spec specificity f auc auroc roc "
    "auprc ap map miou iou iu dice psnr ssim fid kid lpips mse mae rmse nmse score metric err "
    "error eer ppl perplexity bleu rouge wer cer kappa mcc r corr pearson spearman hit hits ndcg "
    "mrr cider reward jaccard hd"
)
# Nor is one behind one of these.
_OTHERS = (
    # versions and copies
    "v ver version rev revision run trial exp experiment try attempt job copy best last latest "
    "final stage phase level task part shard of id "
    # folds, parts of a data set, seeds, processes
    "fold folds kfold cv split val valid test train dev seed rank gpu gpus worker node world "
    # sizes and settings
    "size sz res resolution img imgsz image input px crop patch width height depth dim dims hidden "
    "channels ch layer layers block blocks head heads class classes cls num n bs bsz batchsize lr "
    "wd dropout drop alpha beta gamma lambda temp temperature tau momentum decay eps sigma margin "
    "scale mult ratio fps frames window stride length len "
    # data sets
    f"cifar mnist imagenet coco voc ilsvrc ade {_METRICS}"
)
# Digits that belong to a metric's name, "top5_93": the value follows.
_INDEXED_METRICS = "f top acc map ap prec p r hit hits iou"
# Families named with a number, and the numbers that are a size where such a word stands.
_FAMILIES = (
    "resnet resnext wideresnet wrn vgg densenet darknet dla hrnet regnet regnetx regnety vit deit "
    "swin swinv bert gpt rn yolo efficientnet mobilenet inception googlenet squeezenet convnext "
    "beit dino"
)
_DEPTHS = {11, 13, 16, 18, 19, 20, 32, 34, 44, 50, 56, 101, 110, 121, 152, 161, 169, 200, 201}
_IMAGE_SIZES = {
    *(224, 240, 256, 260, 288, 299, 300, 320, 336, 380, 384, 448, 456, 480, 512, 528, 600, 640),
    *(1_000, 21_000, 22_000),  # the classes of ImageNet that it was trained on: "1k", "22k"
}

_RANKED = {
    word: (unit, rank)
    for unit, words in _TIME_WORDS.items()
    for rank, word in enumerate(words.split())
}
_NEVER_BARE = f"{_OTHERS} {' '.join(_RANKED)}"
_NO_TIME = 2**53  # a hash: a browser cannot even hold it as a number
_UNITS = {"k": 1_000, "K": 1_000, "M": 1_000_000}
_TOKEN = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]+)*(?:[eE][-+][0-9]+)?(?P<unit>[kKM](?![0-9A-Za-z]))?)"
    r"|(?P<word>[A-Za-z]+)"
)
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"[-_ T]?[0-2][0-9][-_:.h]?[0-5][0-9](?:[-_:.m]?[0-5][0-9])?"
_ALL_TIMES_OF_DAY = rf"""(?x)
    (?<![0-9]) {_YEAR}([-_.]){_MONTH}\1{_DAY} (?:{_CLOCK})? (?![0-9])   # 2024-01-31_12-30-00
  | (?<![0-9]) {_DAY}([-_.]){_MONTH}\2{_YEAR} (?![0-9])                 # 31-01-2024
  | (?<![0-9]) {_YEAR}{_MONTH}{_DAY} {_CLOCK} (?![0-9])                 # 20240131-123000
  | (?<![0-9]) [0-9]{{2}}{_MONTH}{_DAY}[-_] [0-2][0-9][0-5][0-9][0-5][0-9] (?![0-9])  # 240131_...
  | (?<![0-9]) [0-9]{{2}}([-_:])[0-9]{{2}}\3[0-9]{{2}} (?![0-9])        # 12-30-00
"""
_NO_COUNT = re.compile(
    rf"""{_ALL_TIMES_OF_DAY}
  | (?<![0-9]) [0-9]+x[0-9]+ (?:x[0-9]+)? (?![0-9])                     # 224x224
  | (?<![A-Za-z]) vit[-_]?[a-z]{{1,2}}[-_/]?[0-9]+ (?![0-9])            # ViT-B-16
  | [ ]\([0-9]+\)$                                                      # a second download: "a (1)"
  | ^recovery-[0-9]+-[0-9]+$                                            # timm: epoch, batch in it
""",
    re.IGNORECASE,
)
_HASH = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{7,64}(?![0-9A-Za-z])", re.IGNORECASE)
_DATE = re.compile(rf"{_YEAR}{_MONTH}{_DAY}|1[3-9][0-9]{{8}}(?:[0-9]{{3}})?")  # or seconds of Unix
_NOTHING = TrainingTime()
_FAIRSEQ = re.compile(r"checkpoint_([0-9]+)_([0-9]+)")
_SAVED_BY_STEP = re.compile(r"checkpoint-([0-9]+)")  # a folder of Hugging Face's Trainer


def time_in_name(name: str) -> TrainingTime:
    """Return what a name says of when its file was saved; nothing of it for "best.pt".

    A folder counts where the file's own name says nothing, as in "checkpoint-500/model.bin".

    >>> time_in_name("epoch=3-step=1200-v1.ckpt")
    TrainingTime(step=1200, epoch=3, number=None)
    >>> time_in_name("resnet18_epoch10_top5_93.pth").epoch, time_in_name("model_10k.pt").number
    (10, 10000)
    """
    return _read(name).time


def times_in_names(names: Iterable[str]) -> list[TrainingTime]:
    """Return `time_in_name` for the names of one folder, which explain each other.

    The 18 of "resnet_18.pt" is taken for a depth, unless "resnet_17.pt" stands beside it.

    >>> [time.number for time in times_in_names(["resnet_17.pt", "resnet_18.pt"])]
    [17, 18]
    """
    names = list(names)
    counted = {_read(name).frame for name in names} - {""}
    return [
        _read(name, sizes_count=True).time
        if _read(name).time == _NOTHING and _read(name, sizes_count=True).frame in counted
        else _read(name).time
        for name in names
    ]


@dataclass(frozen=True)
class _Reading:
    """A time, and the name around it where that is a bare number."""

    time: TrainingTime
    frame: str = ""


@lru_cache(maxsize=2**15)  # a live run lists the same thousands of names every second
def _read(name: str, *, sizes_count: bool = False) -> _Reading:
    *folders, stem = without_suffix(name).split("/")
    reading = _of_part(stem, sizes_count)
    for depth, folder in enumerate(reversed(folders)):
        if reading.time != _NOTHING:
            break
        reading = _of_folder(folder, sizes_count, may_be_bare=depth == 0)
    return reading


def _of_folder(name: str, sizes_count: bool, *, may_be_bare: bool) -> _Reading:
    """Return what a folder says; one that holds folders must say what it counts."""
    saved_by_step = _SAVED_BY_STEP.fullmatch(name)
    if saved_by_step:
        return _Reading(TrainingTime(step=_count(saved_by_step[1])))
    reading = _of_part(name, sizes_count)
    return reading if may_be_bare or reading.time.number is None else _Reading(_NOTHING)


def _of_part(text: str, sizes_count: bool) -> _Reading:
    pair = _FAIRSEQ.fullmatch(text)
    if pair:
        return _Reading(TrainingTime(step=_count(pair[2]), epoch=_count(pair[1])))
    has_hash = False

    def blank(match: re.Match[str]) -> str:
        nonlocal has_hash
        has_hash |= _is_hash(match[0])
        return " " if _is_hash(match[0]) else match[0]

    plain = _NO_COUNT.sub(" ", _HASH.sub(blank, text))
    tokens = list(_tokens(plain))
    named = _named(tokens)
    if named != _NOTHING or has_hash:  # a file with a hash is a release, not one of a row
        return _Reading(named)
    found = [token for token in tokens if _is_bare(token, tokens, sizes_count)]
    if not found:
        return _Reading(_NOTHING)
    last = found[-1]
    frame = f"{plain[: last.start]}#{plain[last.start + len(last.text) :]}"
    return _Reading(TrainingTime(number=last.count), frame)


def _is_hash(text: str) -> bool:
    changes = len(re.findall(r"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])", text))
    return changes >= 2


@dataclass(frozen=True)
class _Token:
    """A word or a number of a name.

    Parameters
    ----------
    place : which token it is.
    start : where in the name it begins.
    text : as it stands there.
    words : the words that it may be; none for a number. "globalStep" may be "step".
    count : the number, where it is a whole one.
    is_glued, goes_on : whether there is nothing between it and the token before, or behind.
    gap : what is between it and the token before.
    """

    place: int
    start: int
    text: str
    words: tuple[str, ...]
    count: int | None
    goes_on: bool
    gap: str

    @property
    def is_glued(self) -> bool:
        return self.place > 0 and not self.gap

    def is_one_of(self, words: str) -> bool:
        return not _set_of(words).isdisjoint(self.words)


@lru_cache(maxsize=64)
def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _tokens(text: str) -> Iterator[_Token]:
    end = 0
    for place, match in enumerate(_TOKEN.finditer(text)):
        word = match["word"]
        goes_on = text[match.end() : match.end() + 1].isalnum()
        words = _words(word) if word else ()
        count = None if word else _count(match["number"])
        gap = text[end : match.start()]
        yield _Token(place, match.start(), match[0], words, count, goes_on, gap)
        end = match.end()


@lru_cache(maxsize=2**12)
def _words(text: str) -> tuple[str, ...]:
    lower, parts = text.lower(), _CAMEL.findall(text)
    found = [lower]
    if len(parts) > 1 and len(parts[-1]) > 1:
        found.append(parts[-1].lower())
    endings = ("epoch", "step", "steps", "iter")  # "modelepoch", but no "timestep"
    found += [each for each in endings if lower.endswith(each) and not lower.startswith("time")]
    return tuple(found)


def _count(number: str) -> int | None:
    unit = _UNITS.get(number[-1], 1)
    digits = number.rstrip("kKM")
    if (unit == 1 and not digits.isdigit()) or digits.count(".") > 1 or "e" in digits.lower():
        return None
    count = Decimal(digits) * unit
    return int(count) if count == int(count) and count < _NO_TIME else None


def _named(tokens: list[_Token]) -> TrainingTime:
    """Return the numbers that belong to a time word."""
    places = [place for place in range(len(tokens)) if _meaning(tokens, place)]
    if not places:
        return _NOTHING
    is_last_bare = _behind(tokens, places[-1]) is None
    numbers_first = is_last_bare and all(_before(tokens, at) is not None for at in places)
    found: dict[str, list[tuple[int, int]]] = {STEP: [], EPOCH: []}
    for place in places:
        behind, before = _behind(tokens, place), _before(tokens, place)
        count = before if numbers_first or behind is None else behind
        for unit, rank in _meaning(tokens, place):
            if count is not None:
                found[unit].append((rank, count))
    best = {unit: min(pairs)[1] for unit, pairs in found.items() if pairs}
    return TrainingTime(step=best.get(STEP), epoch=best.get(EPOCH))


def _meaning(tokens: list[_Token], place: int) -> list[tuple[str, int]]:
    """Return the unit that a time word names, and its rank; nothing for any other token."""
    token = tokens[place]
    found = [_RANKED[word] for word in token.words if word in _RANKED][:1]
    if place and (tokens[place - 1].is_one_of(_LIMITS) or _is_averaged(tokens, place)):
        return []
    is_epoch = token.words[:1] == ("e",) and not token.is_glued and token.goes_on  # "e12"
    return found or ([(EPOCH, len(_RANKED))] if is_epoch else [])


def _is_averaged(tokens: list[_Token], place: int) -> bool:
    """Tell whether a word says how Lightning averaged a metric: "val_loss_epoch=2"."""
    behind = tokens[place + 1].gap if place + 1 < len(tokens) else ""
    return tokens[place - 1].is_one_of(_METRICS) and tokens[place].gap == "_" and behind == "="


def _behind(tokens: list[_Token], place: int) -> int | None:
    """Return the number that follows a time word."""
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    if following is None or len(following.gap) > 2:
        return None
    if following.goes_on and following.count is not None and not _goes_on_in_time(tokens, place):
        return None
    return following.count


def _goes_on_in_time(tokens: list[_Token], place: int) -> bool:
    """Tell whether the letters behind the number after ``place`` begin another part: "1of5"."""
    behind = tokens[place + 2] if place + 2 < len(tokens) else None
    return behind is not None and (
        bool(_meaning(tokens, place + 2)) or behind.is_one_of("of") or behind.is_one_of(_OTHERS)
    )


def _before(tokens: list[_Token], place: int) -> int | None:
    """Return the number right before a time word, "5_epochs", if it belongs to nothing else."""
    previous = tokens[place - 1] if place else None
    if previous is None or previous.count is None or len(tokens[place].gap) > 1:
        return None
    owner = tokens[place - 2] if place > 1 else None
    if owner is not None and previous.is_glued and not owner.is_one_of(_FILES):
        return None
    if owner is not None and owner.is_one_of(_OTHERS):
        return None
    return previous.count


def _is_bare(token: _Token, tokens: list[_Token], sizes_count: bool) -> bool:
    """Tell whether a number of no time word may count the checkpoints."""
    if token.count is None or _DATE.fullmatch(token.text):
        return False
    after = tokens[token.place + 1] if token.place + 1 < len(tokens) else None
    if after is not None and (after.is_one_of("of") or not after.gap):  # a part; "7b", "3d"
        return after.is_one_of("kimg kimgs kimages")
    owner = tokens[token.place - 1] if token.place else None
    if owner is None:
        return True
    if "=" in token.gap or token.is_glued or owner.is_one_of(_NEVER_BARE):
        return owner.is_one_of(_FILES)
    if _is_value(token, tokens):
        return False
    return sizes_count or not _is_size(token, tokens)


def _is_value(token: _Token, tokens: list[_Token]) -> bool:
    """Tell whether a number goes on with what the one before it began: "top5_93", "v1-5"."""
    digits = tokens[token.place - 1]
    owner = tokens[token.place - 2] if token.place > 1 else None
    if owner is None or digits.count is None or not digits.is_glued:
        return False
    is_index = owner.is_one_of(_INDEXED_METRICS) and digits.count <= 95
    return is_index or (owner.is_one_of("v") and token.gap == "-")


def _is_size(token: _Token, tokens: list[_Token]) -> bool:
    """Tell whether a number looks like the depth of a network, or the side of its images."""
    earlier = tokens[: token.place]
    has_family = any(each.is_one_of(_FAMILIES) for each in earlier)
    owner = tokens[token.place - 1]
    is_depth = owner.is_one_of(_FAMILIES) and (token.count in _DEPTHS or token.text[0] == "0")
    return is_depth or (has_family and token.count in _IMAGE_SIZES)
