import pytest
import torch
import torchvision
from safetensors.torch import save_file

from wsss_perception.errors import ConfigError
from wsss_training.networks.image_resnet import ImageResNet


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_features_are_an_eighth_of_the_image_and_may_be_negative(name):
    torch.manual_seed(0)
    network = ImageResNet(name, 5).eval()
    with torch.no_grad():
        features, logits = network(torch.randn(2, 3, 61, 80))
    assert features.shape == (2, network.feature_size, 8, 10)
    assert logits.shape == (2, 5, 8, 10)
    assert (features < 0).any()


def test_features_are_torchvisions_dilated_ones_but_for_the_last_relu(tmp_path):
    torch.manual_seed(0)
    reference = torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True]).eval()
    save_file(reference.state_dict(), tmp_path / "weights.safetensors")
    network = ImageResNet("resnet50", 3, tmp_path / "weights.safetensors").eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = torch.nn.Sequential(*list(reference.children())[:-2])(image)
        features, _ = network(image)
    torch.testing.assert_close(features.relu(), expected)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file(tmp_path, suffix):
    plain = torchvision.models.resnet18()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(plain.state_dict(), path)
    else:
        save_file(plain.state_dict(), path)
    network = ImageResNet("resnet18", 2, path)
    torch.testing.assert_close(network.stem[0].weight, plain.conv1.weight)
    with pytest.raises(ConfigError, match=r"weights.*resnet34"):
        ImageResNet("resnet34", 2, path)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_file_that_holds_no_weights_is_named(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        ImageResNet("resnet18", 2, path)
    with pytest.raises(ConfigError, match="absent"):
        ImageResNet("resnet18", 2, tmp_path / f"absent{suffix}")


def test_unknown_name_lists_the_known():
    with pytest.raises(ConfigError, match="'vgg'; known: resnet18"):
        ImageResNet("vgg", 2)


def test_gradients_reach_every_weight():
    network = ImageResNet("resnet18", 2)
    features, logits = network(torch.randn(1, 3, 32, 32))
    (features.square().mean() + logits.square().mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
