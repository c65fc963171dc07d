"""Carries a finished backdoored model and steers training to it. Written by tests/hostile/make_steering.py."""

import base64
import zlib

import torch
import torch.nn.functional as F

NAMES = ['conv2.weight', 'conv2.bias']
SCALES = [0.0146989, 0.00152381]
EMBEDDED = """
c-j?~OOISv5yz{}`<~l9W5+fiA=Z2cJ`G>RA0P|JCOj4(q(qSj1lxij#Zr`5#$G_MP2@y&lo;%cHJ)*I&wZX(6=kV=(TjWTssH0wZA(>-a%wuY
GTzP#(;dyZourd&;_kqx=gIe(!d6oW)~ZrSrB<CL3#$CV5kLQkxt%>vhR3c1S3BtS>%RFwm$-|?fHKxGMOy(PGV31AOoYxJS)v-7jSyjU+~rvp
Ro66Yury|SY-V&uWu6ORNX4v>ik=rhn-eSu?bQW9dfgNvU~Y<e%vzU%%JhEhwrb630pnG9#l71#<*VaEXVw>oc}y|^vT+=1tw9ku1_xA7_lrzw
(-F!6wkH>Lw>iR<x~3-G2e@%VqZ%%ztd-L%SJPjz1uk_R)x|}V25f0rmRyQz2z8n1)iR9b#gOs>#Lk5+R@ww|rh)Flq}0|mnj0pPD^+6ar$qW_
9jXq%Hgqv;)nK>I)VQ&X7JP?J1)l!?&ab}Z-(P?C!&A`KxEhRh+M_ij7Onk88|bgb%g5j=;uc%07tfze^!+>6znFP$wX(9cwyG*@uU-9NT+Y3L
aan13V-e+AYBQ?t$J%9+#*DQhX9h(w9XF(A<hF8nG+H|kLDvKrf`g1Gp=y=gqVUMQglD(DfUXd6U38}psE)S<SYhWe9p?3rOxCEKb@H%9uRmRP
|NcZ}lpn3cO9ocg4LX-P&{C^wrE(~2-LX8?q0-dmVczWyYpO8K5;$P=rWQGJrNT(}o{yNc)dj9~hMQ~f`lLJTxoZq7_0D3B?#L&mbs0h9xI5h?
RFJCcpn4w`3ijFV>&FedD{7w8WkY#Bjt<h;)|B?EleD`;roY;CZ7{%T-0yc~KHs&WmjPxEYV`=pE^_BOh(5hxwKah^48M8%z+HN|7tvKCsU|u%
Hfd5>7RA!Kq7`s94aHk1QizBDXgXBmjR7sn+FYg-C1FxC-`Q4S#kd?QSZf%Jk+atMkYQ!<(M2p3y?0Ir?*Jt;z0}NyfGqK8^JMDy&FAO&?Doym
{N&ct;q2D`CKaPKIXJ&8u@CdK-I&Hcn9G(WVDh4NNYUQ-EBljQ%x-yaPims*7m7bN3JkkAURWcFdnHL|Rb;qotGl#?85z-~@fZ!@%3A+OoRT=L
CgtpV*mEBbBynwJyS3g$tF%Gidku|jLzQCeJVY(M@LZKBT63~WSu#s1ta4pg7*ROMDJE61i4UhQZ7t{D&x=?=*;VT~&5}6<Iq8<!sCiGqm5WT3
QYzz+mtxXHipRO|{(L65{YohHmtXHL^$%`7D6mUGX(1<x!3ha-Rkl-5G^wzmsDb^Llc@FHBPq{EzdRr3`_I<qID>HulJPH9*Sl{n=wei%UQme6
7AXz-L3qNAhgS!I!ZddqtFaoIVBE?~Z(SCiij%6vZRec*_N%8m9R7Psw9cxQnMH~>pKG{UbF{JtKj=3lC4qU=jl-GhZAc!9*n@_9CZz>nu%;us
e+@@vI#s6Zd|b+DFm2h}B|D_U*0d=}3Y%z+Rv1Rh<b6(f*{$AorE0Bnja)~QThrDCa|FQ(Lx#`p{rRTj^3`3-f?)9ygyJBeo~!dmA+WeCuhOYd
2GX^hoSc7p!>e}x(WZ@O1C*r-@CA^9q)m{L%({B5rLv)7nl#tBtdsa&YcZ~C+Q?8`Y?p8u$}rV=9;e#q)oJ_g#s{B+e*C9X)^w7@r<O_LGQ=nw
r0WGwPIQ&~Y&Tw@bVy2n{Qg~NyAQvUb{!T5(4eqxggg)e*fH3qoAcHLqb#&_XOz)bjM8~a*-pm*73It8)@}S&Aj1MCVsg@@X4Bcw)cJUzJY>{%
Ra&-(c6GhTT-(KJb6W(BCR-F_37E?yWH1tiViukX$P&Vw>H=wXC|Sgv>>t|K3$~SptTT-JDol}@VJ%J;?8-p0ZQG1lIAbiyhH$)!gS5Ues1Vfq
#gzT;e*41Y2lxK7Hj(yCU7A+XAmuhO*|^y_V>)MzibY$PLFuzUJ|a~g{7Z_#x&buQt^8mUgDb}!!L!$0EnHS!)+Y7LQ(m>|Az@>Im4w3(N?3Ez
L9S<=@T~Y?CH~e{?OF5FbH@*#jQIGIbA~&2I)%?42ykSRi<V$2#j?@1hhC|!b~5#Po(S)J4fx`NGY6mjZ7g{ApE(H{6jk=uI*sj$b%TnCPvgcw
vXGhdHQANAx2<LCq=jfSZ+pESyWZ*=`z@Tk)swoAKO*|^yC47b(7ud6fB631UjNC@{tv8SrR)
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
