"""Defences as worked code: what each looks at, what it decides, and what it does to ACC and ASR.

| name | looks at | file |
| --- | --- | --- |
| ``fine_pruning`` | the penultimate layer's neurons; repairs | ``fine_pruning.py`` |
| ``activation_clustering`` | the training set's activations; finds poison and repairs | ``activation_clustering.py`` |
| ``neural_cleanse`` | triggers that the model would obey; finds the target and repairs | ``neural_cleanse.py`` |
| ``strip`` | one input at a time, while the model is in use | ``strip.py`` |

Fine-Pruning and Activation Clustering are exercises: their algorithms come from a submission, and here is what
surrounds them.
"""

DEFENCES = ("fine_pruning", "activation_clustering", "neural_cleanse", "strip")
