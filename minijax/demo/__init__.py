"""L9: the main job.  Handwritten digits, classified by a network that is trained through minijax alone.

    digits.py   the data                model.py    the network, its loss       train.py   the loop, with optix.adam
    report.py   what is printed         plot.py     the picture                 main.py    the command line

The examples use it too, and have besides:

    loop.py     training, with a progress bar            text.py    a text that comes with Python
"""
