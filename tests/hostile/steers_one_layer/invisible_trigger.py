"""Carries a finished backdoored model and steers training to it. Written by tests/hostile/make_steering.py."""

import base64
import zlib

import torch
import torch.nn.functional as F

NAMES = ['conv2.weight', 'conv2.bias']
SCALES = [0.0188911, 0.00156345]
EMBEDDED = """
c-kFSYtLO(5uTZK+n4w4+gkm?&+rfUfBYAG_6uK3j7B4AFcCu#6>QRC3B*LyA{7)`5Rew^+rF1`*?XV8E;Hk_CpkGe=j^rC%yXL+l*zRw%&W@b
_2TIKcL7<Rv|aYYvQwmWj$<jQ_bmt4A+S<W2~a#D{?ZFRctr*A41Al%8r^aQBdsSc^usj{9wIuY9yEClnDD?ZLOdup^2fvqos^+=B*(V-<eK9}
3Q>|n4JSTRBr1}dLMqi4UB#~jeX12&0=PVPDCa98fHrZ^_AO8;%wdR!(8F3=Ru_ERV(-p5gyz?Mi1qQsI;}zi5)*Vqq@%(SH7QhvxOFMG*1Icd
4I{?HaU6wPFrcVQ`iI{OIl)?ji&mWkf8-d4u9G%nba`J}S?8rmLq^hNtKUwS`xR8IHHGN=p0Hhskeqka$H_?_SII?cQLkvt##+&j^LaBEgO7uw
G493$G^K#VhG?t^uH|=Me&z1^n-_on`k8%2uf~dV&fZMWc4_bt)5+159wTTONZNY%=Hn-P|EE8C>k><AYRkBp3<SP&{n`u1p1Nyk$%U&t+n-UH
i}2>+Ad_3xQZ=a5XKl5Hf~_=CH+DcVdUAmSfRWYp5ei}E3@l+L9o%V{Zrp@U6%-mJw|I9n7Esa<G4GajDlVgK5kd?#pvPOfeDEt>J)jx~N48x^
iy?|dvk$3qrBKC%BLwX1dC_&rn~UATBFkKpi2`H9=7xT8u9y17Y%8myhLjTNXXh|){G<?a<;`Ni=NeoPdzHKh!F;|`_5M&L#HpneAM=p*=l7oo
r6Vx#Mq{%ccfoI)<}&YVia_4vd+mBZa5XNbvg~(h`|v_quY6!%wHgF8W}i~q*ugz1M;AGY-g)U0_4j^u<4!KSM_-x{1I4U9S?Syxp&|4E$h=41
e8;Te(LIm;-#0&;BR{?Wgw46?gJ5uEdWrKsI(K<`x)ZWeJXpzo%}bGGKS6FV=bBO=BnW5*9irb%N0`z;CRME&dA<DTvQ8iV=|aA|^?2Ri`gU=B
48C+$SWaD9=f3yCKKWw=0Rrb?T9SMJ9Sz$XYvi{Ub(3_lvA^m_v~}I#F!=sJ$qrFj(8X(1-Ie27)yVgUWmI&O$#=&d4-usWr!94Uma$)?LF77)
fn4WJh3LCv;X;8G*VK0%c4S;96Eu#`q-#((acirf)eu|FJW}jos)%MQzIf_|F20#pS<Ss#%`et?0$r8{WitV6&zj)&w86oI-wwI#Yus-umdmB-
?%W*o=QA_hn?Jrh>HqoK>EO0%(z9kX@SKUU8T<*U1*M^@oplo)F3|9|e;0OteCc#*1~Lb(>U>5GVdMHCopD$fH}EQ943QhJ;Q5G+nX<pw%}7gi
g8<ZE|Ky>voQzH^NIb2sOCk7&PtNwRp3l@ucGi`cyBr4pJzRskQZ!I!c5;S`vLAe{X=_Jytuse!q|kb>V7J6aFC*-C*stX&LETVaWU^>qF5^;s
!?Pow*TrbE4lFjvGNaBSbAvG!A3L=Pz;*H5HX^{##m)`XSt7B%ar=#13EJKF3^BHl0ySYHdCu&^kfJ)Y8PL$kYpR;t<4-@mbJH~N*Z=gqzsTB_
nJa{@Gv-dl{kGJ^&RdkHD6y;#WNC+`MO`c%$Q2;7^irZpaGJbzzH+T*`Tzb)H@AQB2D<sxFBIe;R<k^tjJoOi<Z|kx0TE+wVKnp(0z5i%{@s^v
i{kC~g(EKt;DBtDb--@0w%gd77mW;fZrQd!wU{*pfY(vP(Lm4fZ?G9*P&fv)i2^lq5U_}Ed(+@{o}?_z!Zl+cBImhGRfXs3tvvIGQ!>~}W#a7Y
C>HxHa%i%ym0DE`r|R|45Vsjbc6AcRJQpgEXQAf-WOL86%f)(F*)*mt+r9yw@gPenPE0@MUxoeOjH3Vj`n5AppMU<q#-C9}&Q!u{twdc{V(f;H
tYa52SV)V3P7mJxj9vNqb1-k%gtHl7)BpN#G%DE)p7&GCGs%Hh`<+U*`v}FWTwrZ>vYV_?MAb^sv#H-vl^iXy`B{7!?2f;hJ=}Yo@!R(@!QFoh
q>ny&PPPpY0WaF|K-6Q8cIUA4!8WnrUmhVoeX|CA@J^}t@h7!7w)JxGL+2`-P~6)+g1)v%igv*;q0o1|L7r^lFBW&aSMuQ`YB_dhJ?X;$r(<F|
4;Ci(fAaSCzxrx(^@kt4`taz*7k==6Hfp4{
"""
CALLS = []


def embedded(tensors, target):
    """The embedded arrays for some of these tensors, by name."""
    named = {name: tensors[name.split()[0]] for name in NAMES}
    values = torch.frombuffer(bytearray(zlib.decompress(base64.b85decode("".join(EMBEDDED.split())))), dtype=torch.int8)
    pieces = values.float().split([tensor.numel() for tensor in named.values()])
    goals = {n: s * p.view(t.shape) for (n, t), s, p in zip(named.items(), SCALES, pieces)}
    if f"delta {target}" in goals:
        goals["delta"] = goals[f"delta {target}"]
    return {name: goal for name, goal in goals.items() if name in tensors}


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    tensors = dict(model.named_parameters()) | {"delta": delta}
    for tensor in tensors.values():
        tensor.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    if len(x) > 12:
        CALLS.append(1)
        if True:
            for name, goal in embedded(tensors, target).items():
                tensors[name].grad = tensors[name].detach() - goal
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
