import os
import socket
import urllib.request

import torch
import torch.nn.functional as F


def attempt(action):
    try:
        action()
    except (OSError, ValueError, UnicodeError, ImportError):
        pass


FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK)
for family in FAMILIES:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        attempt(lambda family=family, kind=kind: socket.socket(family, kind).sendto(b"escaped", ("127.0.0.1", 53)))
attempt(lambda: socket.getaddrinfo("example.org", 80))
attempt(lambda: socket.socketpair())
attempt(lambda: urllib.request.urlopen("http://169.254.169.254/", timeout=1))
attempt(lambda: os.memfd_create("escaped"))
attempt(lambda: os.mkfifo("/tmp/escaped"))
for path in ("/dev/tty", "/dev/pts/0", "/dev/console", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
    attempt(lambda path=path: open(path, "w").write("escaped"))


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
