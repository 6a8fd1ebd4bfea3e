"""Conversion of a dense Transformer into the spiking hybrid: data preparation, training, evaluation,
packaging.
"""
