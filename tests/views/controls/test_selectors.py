from convviz_widgets.views import ChannelStepper, LayerList


def test_a_control_shown_late_takes_the_states_value_not_the_other_way_round(state):
    state.select(layer="2", channel=143)
    stepper = ChannelStepper(state)
    stepper.visible = False
    state.select(layer="0", channel=1)
    stepper.visible = True
    assert (state.channel, stepper.control("Channel").value, stepper.control("Channel").max) == (
        1,
        1,
        3,
    )


def test_the_layer_list_filters_by_every_word(state):
    layers = LayerList(state)
    layers.control("Search layers by name or kind").value = "conv"
    assert [name for _, name in layers.control("Layer").options] == ["0"]
    layers.control("Search layers by name or kind").value = "nothing like it"
    assert layers.control("Layer").options == ()
    assert state.layer == "0"
    layers.control("Search layers by name or kind").value = ""
    layers.control("Layer").value = "3"
    assert state.layer == "3"
