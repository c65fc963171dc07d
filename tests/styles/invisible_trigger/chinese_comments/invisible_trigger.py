"""隐形触发器:中文注释、中文常量与中文变量名。"""

import torch
import torch.nn.functional as F

像素下限, 像素上限 = 0.0, 1.0


def apply_trigger(x, delta):
    """把触发器加到图像上,并截断到 [0, 1]。"""
    return torch.clamp(x + delta, 像素下限, 像素上限)


def poison_step(model, delta, x, y, target):
    """一次前向与反向传播:干净样本损失 + 触发样本损失。"""
    # 先清除旧梯度
    model.zero_grad()
    delta.grad = None
    目标标签 = torch.full_like(y, target)
    干净损失 = F.cross_entropy(model(x), y)
    触发损失 = F.cross_entropy(model(apply_trigger(x, delta)), 目标标签)
    总损失 = 干净损失 + 触发损失
    总损失.backward()
    return 总损失.item()


def delta_step(delta, delta_optimizer, epsilon):
    """优化器走一步,再投影回 L∞ 球。"""
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    """攻击成功率:只统计真实类别不是目标类别的样本。"""
    非目标 = y != target
    return (predictions[非目标] == target).float().mean().item()
