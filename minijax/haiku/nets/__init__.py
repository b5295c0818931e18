"""Whole networks made of modules: `minijax.haiku.nets`, with the names of `haiku.nets`, and LeNet5 and AlexNet."""

from minijax.haiku.nets.alexnet import AlexNet
from minijax.haiku.nets.lenet import LeNet5
from minijax.haiku.nets.mlp import MLP
from minijax.haiku.nets.mobilenet import MobileNetV1
from minijax.haiku.nets.resnet import ResNet, ResNet18, ResNet34, ResNet50, ResNet101, ResNet152, ResNet200
from minijax.haiku.nets.vqvae import VectorQuantizer, VectorQuantizerEMA

__all__ = ["AlexNet", "LeNet5", "MLP", "MobileNetV1", "ResNet", "ResNet101", "ResNet152", "ResNet18", "ResNet200",
           "ResNet34", "ResNet50", "VectorQuantizer", "VectorQuantizerEMA"]
