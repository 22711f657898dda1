"""The ward: small real trainings, each with one planted cause, and healthy ones beside them.

>>> from convviz_widgets.demo import ward
>>> patient = ward.admit("overfit", seed=0, directory="runs/ward")
>>> findings = cvw.diagnose(patient.state(), run=patient.run, validation=patient.validation)
"""

from convviz_widgets.demo.ward.cases import HEALTHY, ILLNESSES, Case
from convviz_widgets.demo.ward.patient import Patient, admit

__all__ = ["HEALTHY", "ILLNESSES", "Case", "Patient", "admit"]
