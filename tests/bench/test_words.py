from bouba.bench.everyday import ANSWERS
from bouba.data import samples


def test_every_answer_is_an_emoji_that_is_there():
    names = set(samples.emoji(styles="openmoji").meta["name_en"])
    assert len(ANSWERS) == 60
    assert not {name for answers in ANSWERS.values() for name in answers} - names
