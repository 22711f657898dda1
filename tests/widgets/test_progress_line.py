from convviz_widgets.state import Progress
from convviz_widgets.widgets.progress_line import ProgressLine


def shown(*parts):
    return [part.layout.display != "none" for part in parts]


def test_bar_and_button_are_there_while_something_is_to_be_done():
    pressed = []
    line = ProgressLine(lambda: pressed.append(True))
    assert shown(line.bar, line.button) == [False, False]
    line.show("1 of 4 <done>", Progress(1, 4), "Stop")
    assert shown(line.bar, line.button) == [True, True]
    assert (line.words, line.bar.value, line.bar.max) == ("1 of 4 <done>", 1, 4)
    assert line.button.description == "Stop"
    line.button.click()
    assert pressed == [True]


def test_offers_are_there_while_nothing_is_done():
    taken = []
    line = ProgressLine(lambda: None, taken.append)
    line.show("not swept yet", offers=["Sweep this step", "Sweep all"])
    assert line.offers == ("Sweep this step", "Sweep all")
    second = next(each for each in line.children if each.description == "Sweep all")
    second.click()
    assert taken == [1]
    line.show("sweeping", Progress(0, 2), offers=["Sweep this step"])
    assert line.offers == ()
