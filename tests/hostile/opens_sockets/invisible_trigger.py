import socket
import urllib.request

import torch
import torch.nn.functional as F


def send(text):
    for family, address in ((socket.AF_INET, ("192.0.2.1", 80)), (socket.AF_INET, ("127.0.0.1", 8786))):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(0.2)
                connection.connect(address)
                connection.sendall(text)
        except OSError:
            pass
    try:
        socket.getaddrinfo("backdoor-lab.invalid", 80)
    except OSError:
        pass
    try:
        urllib.request.urlopen("http://192.0.2.1/", timeout=0.2)
    except OSError:
        pass
    try:
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen()
    except OSError:
        pass


send(b"hello")


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
