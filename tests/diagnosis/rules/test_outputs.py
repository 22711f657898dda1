"""Outputs that are stuck or washed out: the smallest input that fires."""

from convviz_widgets.diagnosis import AnswersAt
from convviz_widgets.diagnosis.rules.outputs import stuck_output, washed_out_output
from convviz_widgets.measure import AnswerFacts


def answered(*numbers, **given):
    return AnswersAt(100, AnswerFacts(*numbers, **given))


def test_one_class_for_95_percent_of_varied_images_is_stuck():
    stuck = answered(40, commonest=3, share=0.95, label_share=0.2)
    assert stuck_output([stuck])[0].value == 0.95
    assert stuck_output([answered(40, 3, 0.94, 0.2)]) == []
    assert stuck_output([answered(40, 3, 0.95, 0.95)]) == []  # so are the labels


def test_pale_or_flat_pictures_are_washed_out():
    def pictures(chroma, contrast):
        return [answered(40, pictures=40, chroma=chroma, contrast=contrast, palest=7)]

    (pale,), (flat,) = washed_out_output(pictures(0.69, 1)), washed_out_output(pictures(1, 0.49))
    assert (pale.value, pale.select, flat.value) == (0.69, {"image": 7}, 0.49)
    assert washed_out_output(pictures(0.7, 0.5)) == []
    assert washed_out_output([answered(40)]) == []
