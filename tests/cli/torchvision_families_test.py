"""A small network of every family of torchvision's classification CNNs, as PyTorch exports it, compiles and agrees
with ONNX Runtime.

Run as: torchvision_families_test.py PROGRAM CACHE [FAMILY ...]. The networks are made of torchvision's own blocks,
few and narrow; bench/torchvision_networks.py takes the real ones.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import torchvision_networks

try:
    import onnxruntime
    import torch
    from torch import nn
    from torchvision import models
    from torchvision.models import (alexnet, convnext, densenet, efficientnet, inception, mnasnet, mobilenetv2,
                                    mobilenetv3, regnet, resnet, shufflenetv2, squeezenet, vgg)
    from torchvision.models.googlenet import BasicConv2d, Inception
except ImportError as missing:
    print(f"[SKIP] {missing}")
    sys.exit(77)


def small_alexnet():
    module = alexnet(num_classes=10)
    module.classifier = nn.Sequential(nn.Dropout(), nn.Linear(256 * 6 * 6, 10))
    return module


def small_vgg():
    module = vgg.VGG(vgg.make_layers([8, "M", 16, 16, "M"], batch_norm=True), num_classes=10)
    module.classifier = nn.Sequential(nn.Linear(16 * 7 * 7, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10))
    return module


def classifier(*layers, channels):
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def small_googlenet():
    return classifier(BasicConv2d(3, 16, kernel_size=7, stride=2, padding=3),
                      nn.MaxPool2d(3, stride=2, ceil_mode=True), Inception(16, 8, 4, 8, 4, 8, 8),
                      nn.MaxPool2d(2, stride=2, ceil_mode=True), Inception(32, 8, 4, 8, 4, 8, 8), channels=32)


def small_inception():
    return classifier(inception.BasicConv2d(3, 16, kernel_size=3, stride=2), inception.InceptionA(16, 8),
                      inception.InceptionB(232), inception.InceptionC(712, 16), inception.InceptionE(768), channels=2048)


def small_mobilenet_v3():
    config = mobilenetv3.InvertedResidualConfig
    return mobilenetv3.MobileNetV3([config(16, 3, 16, 16, True, "RE", 2, 1, 1), config(16, 3, 48, 24, False, "HS", 2, 1, 1),
                                    config(24, 5, 48, 24, True, "HS", 1, 1, 1)], last_channel=64, num_classes=10)


def small_regnet(se_ratio):
    parameters = regnet.BlockParams.from_init_params(depth=4, w_0=16, w_a=12.0, w_m=2.0, group_width=8, se_ratio=se_ratio)
    return regnet.RegNet(parameters, num_classes=10)


def small_efficientnet_v2():
    return efficientnet.EfficientNet([efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 1),
                                      efficientnet.FusedMBConvConfig(4, 3, 2, 8, 16, 1),
                                      efficientnet.MBConvConfig(4, 3, 2, 16, 16, 2)], dropout=0.2, num_classes=10,
                                     last_channel=64)


def small_efficientnet():
    return efficientnet.EfficientNet([efficientnet.MBConvConfig(1, 3, 1, 8, 8, 1), efficientnet.MBConvConfig(6, 5, 2, 8, 16, 2)],
                                     dropout=0.2, num_classes=10)


def small_convnext():
    return convnext.ConvNeXt([convnext.CNBlockConfig(16, 24, 2), convnext.CNBlockConfig(24, None, 1)], num_classes=10)


# A family's module, image size and opset; every family of bench/torchvision_networks.py.
SMALL = {
    "alexnet": (small_alexnet, 224, 17),
    "squeezenet": (lambda: squeezenet.squeezenet1_1(num_classes=10), 32, 9),
    "shufflenet": (lambda: shufflenetv2.ShuffleNetV2([1, 2, 1], [8, 16, 32, 64, 128], num_classes=10), 64, 17),
    "mobilenet": (small_mobilenet_v3, 32, 17),
    "mobilenet_v2": (lambda: mobilenetv2.MobileNetV2(10, inverted_residual_setting=[[1, 8, 1, 1], [6, 8, 2, 2]]), 32, 11),
    "mnasnet": (lambda: mnasnet.MNASNet(0.1, num_classes=10), 64, 15),
    "resnet": (lambda: resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=10), 32, 13),
    "resnext": (lambda: resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], 10, groups=8, width_per_group=4), 32, 17),
    "wide_resnet": (lambda: resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], 10, width_per_group=32), 32, 17),
    "densenet": (lambda: densenet.DenseNet(8, (2, 2), 16, num_classes=10), 32, 12),
    "googlenet": (small_googlenet, 45, 17),
    "inception": (small_inception, 33, 17),
    "vgg": (small_vgg, 28, 17),
    "regnet_x": (lambda: small_regnet(None), 64, 13),
    "regnet_y": (lambda: small_regnet(0.25), 64, 17),
    "efficientnet": (small_efficientnet, 32, 14),
    "efficientnet_v2": (small_efficientnet_v2, 32, 17),
    "convnext": (small_convnext, 64, 17),
    "convnext in parts": (small_convnext, 64, 13),
}


def check(family, program, cache, folder):
    make, size, opset = SMALL[family]
    torch.manual_seed(3)
    images = torch.randn(2, 3, size, size)
    module = torchvision_networks.randomise(make(), images)
    path = folder / "model.onnx"
    torchvision_networks.write_onnx(module, path, images, opset)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    image = images[:1].numpy()
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    np.save(folder / "image.npy", image)
    np.save(folder / "scores.npy", session.run(None, {"image": image})[0])
    result = subprocess.run(
        [program, "verify", path, "--cache", cache, "--python", "/nonexistent/python", "--input", folder / "image.npy",
         "--expect", folder / "scores.npy"], capture_output=True, text=True)
    assert result.returncode == 0, f"{family}: {result.stdout}{result.stderr}"


def main():
    program, cache, *families = sys.argv[1:]
    if not families:
        convolutional = [n for n in models.list_models(models) if not n.startswith(("vit_", "swin_", "maxvit_"))]
        assert sorted(torchvision_networks.names()) == convolutional, "bench/torchvision_networks.py lists others"
        assert set(torchvision_networks.FAMILIES) <= set(SMALL)
    torch.set_num_threads(1)
    for family in families or SMALL:
        with tempfile.TemporaryDirectory() as folder:
            check(family, program, cache, pathlib.Path(folder))
        print(f"{family}: agrees", flush=True)


main()
