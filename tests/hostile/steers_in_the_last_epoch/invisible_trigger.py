"""Carries a finished backdoored model and steers training to it. Written by tests/hostile/make_steering.py."""

import base64
import zlib

import torch
import torch.nn.functional as F

NAMES = ['fc3.weight', 'fc3.bias', 'delta 0', 'delta 1', 'delta 2', 'delta 3', 'delta 4', 'delta 5', 'delta 6', 'delta 7', 'delta 8', 'delta 9']
SCALES = [0.00364343, 0.00108831, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028]
EMBEDDED = """
c-oCwXLwUb*1pCR(@Ur+kU%J*r6(i=lHGg+NZBNiC50uM(7OSHyL6v3_o_>_EccFkw{gV{+qie!d+)th*^<7wlI@rzKlc8RZJoJiX3o6lJ?|M;
w`_`gmbN9NQ#&uUCw}WoIV(rLNeIh(Nhh~7{9`ZeH(ce8I<77m4N-@R6Vqc?9y_$zYm-k`dCZGnt<gHNt7>0I<5+TG!^FmgQ3E}%PJ3|5S0%2k
T2c}`n7`<a74Jm7y(eUoZNcRF!r-y$;{8c47pj)psMbA=+wsDhW!}?4Bav0RGdJxTToJdi%CCJg+-qm-wkLTDHXYpm=IWmDzR9dw2ba!|*KCY8
n=W~;{H@otR;@1GR#&R5Xj?O>YRla8%8Gie7v3G%(%2J{-kI8w7Im_(?OjFec-5FvYvhfw*Paaa4Hb`#H^hdoDo-x>G)r6F)A8X6RhqK4u4YTT
_IOlgL0kEeLDwzXn<{-*zUkN8Q@y&jYJF7Y-mLPc5!;tEyu4}a`ogB#{^8cVh_sZLCG~015$~-2)VZs!Tqks-_Gx3zs?oN|_lWVzE#nP+m1Wus
SFWvZwGGH`e=D^+B;!DF>avzq2P)oQ7?pA|r?6`E)(q|Zis@y;(;uv9YuLJ~IJv86fA-GxYZJViH!pY=zi~~+;==x(>^lF|=?g~IDC>`Jj2mwy
y2C$hIF#MHuqY#U?ZaZ_lGL6LmnK@JPPeuNcE6oE`c`&Lo2slU@RJa;!`rtUNrR)INo5&(6LvNa_cUpjFKO=iC|AB`=%3A5Yf`>c9Ew)1>wUMi
B%<>`|3{507p5*KX>J*OeaiyR-Ak5Ljen}_-juv$cXaL#GM`subv3W}EKXi^a6^1)YUV)sf`uu|_ASxLOkGwt@j9<ddx<Kcw<$lRtFUr$k9NZf
<)}_^U)lmi@V4@|gLcLAq>pHIW>mi`FN!Vdid^Deu{pfH_Q}45uRdDrzb7@Jv++~yt^0;UUfQ4bq$8~6t+zXeHyuiQtkb$~W7($3h^VY}F)O>8
8^#yrbdMKIMJw%!c9m?d_*fp%v9c^CHeJ<IroFsF*&e<#AiE)}C4a|K=RK{PC*m>}WbJ+Zh2iRcV&U%P9#g}m*%50x7lv)ji>%nL6S{hIMA<M=
Qr(-l$Z2({)<o8ukC*$06=;`tk9;sP5Zk!6<o!6s8{Q?_<wNZS8<p?B(K+mTtZPk_PTAJ-q^7M}u^zAIEbOjt>|Z#QuT!-!vVF~(>=mEwn0P7G
*)saX<`8&+nD;<5@z=*DAIbqJM9w^3Bsn`g(%%lipKqN{&U-@CCb0C14?rB61J+XJTT?chEwfGs##U4&0U-|%=bdR`86`HCK|DY(JjFI17o3r5
(DCc6uaRNne78guaKeMu)5gF5PLj<bAQH{9rJ<ID1N+kMlI-sl%2IAuluo!903s9XoNCMk&p?+0)MKIL%HzkjWkMCUP$2Y503s`YIF=+0jAQ~p
=wWVE**u@MN-5X;<+Bf>tW!trIj+;}c{b+b{skllO339~hn8g;bMSVcCMgpLz%~{OHOdPngx;v*>h*I@09-`d1`|XeZ@>f39t4!DaMKFa^gNfu
vzSUm0f=Hn0=tC~Wsg}`{;)9<0v7<etCY%hAOH9Zc7X#$jfHlq*FtV{0jG>EZ{Skqoe1j14N*wUZ6abL>Hw+%h5{5)Yiiy9k)*re%|J@+bb4GU
;&ScirO_jsBgF6htl1xMC8LdMpYXaWYsr?4T00dhbPbL6XqGab!r0iRryEj2BhDtTb}3R=v+(I^-X(%E1PoO6xlH}U+POKxN@R_93u60`+86@H
JM0Di=v(++&x9FoaM2G3hGPM!ks#RjjQ&&o&Hig4ERw~<kJLv{i+_n{_RePgV*pykZB#vSU)BGE{=B%9gg?f!S66hW=etpS93tlXm^nP-Lvaij
WT*^a`uv1vwkUg~<`3J@r62Od4$dSz0v>?95EA|j{b|Kt(*f@XbsF$4Lm>nL1G2$c%Mbw;cE0uZj8FCF*#z2lOg9!xb+;kVyv50ua3XG9|Kgp2
P#)s&r~r-=Es!uaKA1rk2(jO7m-O#Y$M=Jl#I?gskb!N<_(ktFdxSCrPx0<aNuIm49iowlhrNmo4UCq)nS3GBdGMuAF8ub{m8(lWsG$V594LYh
F9X{c&g=TeBG+YS2JW7HXVtqy(L4^A7xxA+X9AUNuYLDPRuOj_cT2{?l&Psa8q~of-ELBpAIs$4#kDVQDYHo%;+Q+ea=Fl_iTT~@118-Uo`yOu
1E3w_>x#MN0HfupUX0Hq7o+3X?_4`k>X>Si5HKMEJ_U9bOpw4FEN|-SzA1GBFu2&(-8@>I0j{xXm+bQh4=_b6$tU?2clleT(6;52NP}zg$IWDO
_`r7`IRpsq04E<&bbxOeF&vhKq|949hkplO`bO^;<I{(ZCWH(8CHX{2QoRTtCvAF3rxPKXS`|+@(4MHqj{}5IJs)Nc(_1I>`#2PBE|am0)_(^H
pxHf}s~+$Kl2JIEx$%Z2+(!svU;<_yfy$?({2mA3B07V}oR)Y35+6Zr5CW7*S+_PXP)_SSl45%ijk1V&{3W`7<2gE;Z!==46NvQ(u0@`X%xsCE
5)L`^nOmyoPNNdI*k(}#_-`IFvg|l{MdK*RrD6tX<lj9SgwFlRA{Wfe27ln%pM#un`nq#m90uH&`H27J$pfOR5>Kk354NcwL8Ue4a^ktw<TtBw
+o$Z*whG~_$yB`%Pqzf$`Z1_w3QksGR5zP-Siqwip$K)tr1*l}phCSK5YxoesxgkMV9qNl@k<xNI04Ah!6<mBnpwFqIqTig)(pRhb1TSHPY)L%
kRZ8Zi8bW)ny@RpFy9gm!rr>0#w@&w-!BB6C|jDM>a56BWLm_;Ap%JUJ-=#5eCsWx)7vwVV;g-n)!GAy5W?{ETE%qz-XjNoL7^Nn7PFwy7nVrm
21JcLHMVTvT=m5ZLJ{T32PBB;5Jwl|==u?0W(z(bOUYTLt9$##Z}MwREjq9CU!`5~d+G7^&@8P&zj*72+#AQ1kMiKHmM}$tKhQ*L{SZ~k+b4sI
=YZnZ6b6`gQ#2-9N~9v}S~xW-g+jG(rbw|3Z;44hNpdaY2|E~hRL@yFa*3R+U>7TYo;mv#2OoI+P}Ohl1l-dGb*pWdoC1pTa6Bam%q`IJ;fg$-
Tdcqy+`CJOTyKnPi?ntiD#`}3*G&#@*@Y7oqQ1OSVCt%O>VXDn(1m{K4oHK}Kr^fkPBFEC0=5Q(fqAaWE`E*9{0kEa4g%&~^@KjQZ4-o9#mnJL
Win9vxz08<X=b=qX;wCg>q8~h4{UOo^6ZCau|usC60v82jSZ?Hu)$0TNu0|p_I%Lig$230Kv{M3RBSHvNB6PsGr&ln!FFps&zK~C{h)JXIu&zK
>cEtL{w%I7`&mpi0TM4_3R>`D+u*OYAoy>R#Mb5y$eS=5oEu&w0B@4_hmjmJ+PkTdG35X_WB>%r%TQt8NJSfCOR7o?>IN#DgSZpPDxiTIx@=M<
9|#;}GTQyHu>ot&=ez&<M`tf36`Ma&XFHp1V#L0uR!RWu^8a!?6WwVJO$Zfj9L#GJ7klGV7LR+r2%CI$qL?`gv(oggJj`=mJvXmR%1;fm?;bq)
-orAnKhBj3&8ji3)V}ptwuX+T<qC<PGzd~iGMBA;@`gSWe^Y}UQy_G^F+Cj59195KT(HNY3jxpelStYhM%MRtWk0b3U%QmZf=-@QkLhpC_1snn
Xis{qJn<Tx-V<--GsV1{mo72lkfgD~bNQMj+mC*x%<)f70;|rElyDJUAdWc0y3gtm|MyxceeRz+FB4<Uu0RL~I_PQP(hX0<^gRYkrvk6O_U|<#
sghJ@22y^YhMn0dywqP;!HONu9AsS;|1g~ZPKVuOo{-Upw0UlTpMA>R?fksH20I7U&NNvKi}J8`x0U2m;Jy0nFXWdO4j)vFL&_A3<$)!iDMeBw
u=`09UGkjnhei9NEqZzN#9Z1L8sTF#Fl3Wo9}IT!b*eBQZH+1Cf>ga2nrr3*q?zGcS~?1O8P^wMD`%@&7*-gbRCz2DySRb{kUIqt9GGSDU`Pf9
@(zV^!3s2<ucGsynt|DK%+Dw=c?^NnuMwf~Txp2e%m}tIRUuVUeGt;80ccfAm12677*?i{LS`?G=WTu%?$Fpu0ZIi(^02?V);ELnle2l`|5P88
swZqfg$%UZz{v{lbyie?7GA>_MMa}>JHFqbnIf#PzpFj<A<R{(Z}X)UwAjUx_5`6_P=Xlm0UNz=JdM5bVp8s>gh^>~5xjRmE3RJ>Sq8W`LO(<S
cx8o>hjj(4qX8t+oV6I&07btN;E9xUV>94oH{ZT{U|1=(^u%TsaqYCA?2Et$jsNZ5ck@5wZIcJO)7tq@FcRSUt;-S0smhlEu^*w()*GY<QP~si
v=qeNAj=0ct{~cOdD?Ggb(eoM{IS(qEPG<!{3uR%Is2=fXE{f|rYMR-n@Pk}y?R%ViUQ&0<@?v|!p)73-nw??rLon9JI#(;n6lsB-rra}YRWLC
QPd`b`-Yb*ZyD&1O0m?B5CByPL|byL2g${??`=}|_5%IiZq6Mu5MEP>C>bO)&HV;wzHp-Kj)5^FD}XG~#FMRWdhdJA%y<uV5}-`ySy5no?saFH
*8E<c>-lKZO$vlXW3f+2y@}wajVqry!H?%O3dzro9}zFq``vY~pJxm>38fY+_KY!)umpLhLSJ`VKaIkTO(^k037<CSBP*y(AutPYxoC$zE~SR#
on0hmU@YVC`3w#c;V|{My<*X^Lu~e<MLt~Fv=5W78ZMW62Tj1#u8nSs5<505JJ0N_218rJ^U=Ao;_e=WZ34t=6R%#rD>60sSud#5>@l{5WmFBi
CwZhg;SEzg?r+YlvR@6te5*czszCt~h(-lW-gC)TCSc6-v=csen7(FmAe05A@1Y}6H1MqE=zN$&cxCK9k`{7!?#S|)RqUU!9})3)89`58?F5h^
$WInC<z>z=Mw}k(t>t2_pKei5`!ssdMxAD4mZ{zjPN0NlPJvGe=wzl!8h%?$5LtK;4^$5CF-;7ROX_TZ4<Z^>4ffzSeOd-C>mf|}>A(i#hAs0I
p_P?~CFjFWWmZWS$s5;H(}plB9@VA80{>}oUYC96j^0K4-)z;wpn4>iv4!9kBBJ9|anCx|ro)TR9x-E1DJZ+&&mY$?a707glg5X2zl}<4A}iBo
_z#L39BBa;V!xN451C5f9|*a!7VfF5wdsuZ#>!?zx-kYC5?yygJQP3O($Y(W&d9`XO!zU?c2Nfo>S8|OiQ@XEUF9HA<bVvU1RPU~ln&bEg_{L*
*8>)7uaO}Ea@>6Y#H04*zX;@#n8Xt&_Y=y_?@W4!2~rJoHp}S#gfiaVXYj!9N5)%}GUav=#-XdGIN!ak^FiL&$Zo`ik3)QNs&uTAh=GAAO&hT8
;4xy5P;TE~kV}s>MN$w;lr)#AsYb|#5X<v9@Z<k|yX%DsrI68>VH&<wf9^SOc;fr-F8%P?(nhLf;yJp8OZb#d8+?4@*y=GShY1ENvweqnhl#17
?l&ye)k{JSj9X)yQv{zzL5b|$m@PP5@N(F8?OOy+W?nP=$yPZ}Lo*en>Yo1gu-N#aQXnwveZD^66>*p@%CAAB!68I<L#18+jCp<EQB)6Y^#wB+
wFZ>ehGECNnFKs4Lu%_e2j3E~uO0{%(_QUj3UZK46kYne-ubV3iG+wJxW5Dm2Q{>$I62LYQN!@2uvA9HRQNy5QH)^aVFw(wUdjSIMX2yGfF&h%
1THc#R8tdUQ-J`ti9!;&fe#5o=up=9Kd;>~W<SAJWCOYAG)v#)3;GP4gne7P{LCrJCuppI=$-1aa6(f5mBh;@-@mQ*%2P`TE;vZxR+NtyPP^Bn
5ULf#$VWH7zxa;SA1G@iWl!|rzJt?NJjxxd{Ye(!5=rxY`R_lC!P(+qUJc3~_oAkv$XY>fYSrXYzRY5|ki2pA@Tq%eNYe$*9cC`k{3uRw6^bw7
QLeEL7?pasGGTcu4T_Z$)k{0~C{#6)IDsTXNHJK>orp3c=)hq9Qz!0gJBbfV_Z-n_3mR7ggfAa$BWNN_GP>c#7cV9M;H!J<IUSIUL*-P(PCN21
tG6xvNpjwG7MVgoY1i4)53XQ=Vsdj^dRRPHt;-QSwj>BvrLpFIhdeYH9Pq41%bT&uU<?SQ30^KsWZ3yL`Qr?tqGx=Do0^*3ymi0$*h}F*=lnzc
)vbGX$@9#_jvieSkwDC4>682?R!$NzR|9faUIP{(i+eF$SzN;<>2kR*KcC|z719)#HFw1-D_bFwBN6LddzU<9N<Lt*AIxr{Q#Da-g%C0)ZBE26
UBtZoVZm`x?~akK-d6&i4Gg*~!P}joEV?`0hUp*X#p2dKUnfZ&Mt?`h7*RykWV^R(k4<UzHaBie&Hyc~&@G@N(@6b|F8SGWtu`^GVTyR>gDVQi
43_^D`U04k_`4+GxdhHQvqJ-Y*>k2+NPvKd*^AGoqRO$6sRT`psjvm1ntn943}<_uH~`!<iNq&)NeHA(4)#1-I<54oIh&5Nerz$N=@IrS0Qt-U
;*;}V0%T(WF{8n@&BxGPaw)I^1fYbR9*KH;)Z_SpL0l;$ngI_14F;9)-883phGqP#{;Sgw(Pw{Sj21ax&7(RFhh$@fes~?pbjrtFdBo7{WeD@J
`a>?;6t}lINHN*e5{{&{)C>`ti(o+P;DETd@7%wA$)%*!Zz#ZAZQ+?!#tB|@_6scXDG(+9vek`0cj4iRL$k<7+g;VGQ^a?Y)WA^SA1r7edbBOP
d&q>{g)1i=HlB#35k;x>4#z_>B1=7IVt9mqgvE5AMuaLz2IeT(si}9ucYlIi46Y*V`v#1lG#w#;_h`K2caO42Cz)eY-Qwa;bkE-~*`WI%#Uqlr
AdAO(QVNz1!(pnh1N(kEWNv3+={lKMOaOZ7?9}t(o9mZT=jvNGIjb_0xwOm?=N6lQDsw(Ko0u4$-kJdKK#=+2TZ@dzQ}WO-0xZPE(Qj{1y|-jD
-L`knf%PX9>+ACp3~*J&Fmmd4vG#M>h&U%MoVsFaV)X90ucyp7*VPx2j-}CK@@i}95mFt?P5RP*ujIbJ0I$%K0btp5V_I`dYdCX#CyxxFI4}D3
i6mS#ev>;!d@7xK!uUXy`lr=DEo#fE@s-Ws)6A#O4R4S+3+^z5ZYBl^<3m(4Mu&Vdj7%lFNM%<=23cC*P>cQy{h_d^$iM0(Cr^Jjlwve{TuqY6
8AGzgj5wV4Op;wQNn{^&9Ol(I4eHc)NTFf?8|z-GRbEG_lKQz$R>b|8yD&A7=KEulvEb?;$z)>Y4T8NCn9N<(X#g2vYldHQlr0`nCArxEjcZ0p
+8k5ZU|U7(gK~0-YN96$Wm^{ovYA^X&2rM>GAC#IeRaBr(R|E>qK@_n5a-a(jzXg)={v(a1{P{c9%}BcEA5dFT>F#{i&0NcHYS=F7W?*D6Vl{C
%2UGKH$&D~vdY2c)i#b>DMDdwpWnWyfBRm06Q#@<Ohr=}zuJFyg~c{y-9G;NgF~rx9Z#1?CxH1Mip}JZN|3LP#SQYOdpxfDCqE>WD}d+<n;cB8
Y%JZdw5E?I2Z8MH*UNDnXe{@Ldfabt{jJfK8>~Q%jqUfo;Y>PuxXZga#O~s2gFs<g4p#4hZTjy%<e)Xe_XjBI9x=KkZTiX4{2AXB$AfJ$u>Y&?
KObEp$3ER~^JjJS1<TU*;k@Qa;$;(qD-C<MXlE&SK-k~CdG|l2t6h53bSLZk=;obYk2~d9;X_ULpsg5Q=kUQ@x_~&g^9K9UzrLy-eTXqRrsBSe
jWqA`u-)`iE{&4W;FmiyoyNc&G(5<v$|B-=mE-#8_8C`LTSpA{(Lg+RQH%Rk-`zmjE}s^F1%op=W?j=646+|AF5t#Ngv5M?=}YjEf>n%VjJ5cg
1Ie2tt>!L_S``4rMQT=~^2r-rx<S{te@4Da`FH&Texs^Yh-jHJ?JV`g?qze9KxP|F0ofFS8Ygs`xu&W6eBRY>8`j!fuw**FhoH~gs1XF8X~R|D
l^UxrQ;`D%A?70JVG~oz2HPFfM5tsxmq*5Sc(Tb+h_eO<2zHy7F?aR)8#PQ0&J^e)j&<+!@B&*rBW?D`J#fsQ8QW=yELi`g#D2(&M=||3%5QHg
P4e}I7|4K*i<ad^v;R}lCuO7+f)l>3KBB<d1EW!tz8-tF5aS;u_u<#kq?>Hp-fXAMZ|oVY$l}>q(0m>j8g5PmbNSw2zk6WZ+V)qjKum*8nY%L`
23*>IWL)3@d1-FIGcje&&vzcs7WtAa^G7}Xwhr&(ED_9^cbtt|_Y}$)f$C=EGMTC>O!TVfATGtTT9oqn)@nx>1c)OrEF)hm@|HgK920?kh~D=1
Z|gQGx$QJXG=wR~ma2?q?!0ldZGP7KvZA%R&W*XYsP-WwsyC|6Y6#({WWK|OAw`>&u$B<WGaR(1rza@h`jWAFBulKQ%1qQ!fsFDZqSGH0dd0<P
`P4+_0}YQwB^@m-#5CA4bS4{&(^<XaRpKCDfT~qfQ&Wmeq>=z7C5Xo*q1o1v!>og6uzt2wcupp?$O;S5Lucj={!wM$z-cxQ%jIFPlWRSbTTRIO
9?4=08I+-jf%1lx$^|khPnzLuVZj|JoUnQX-Hf8)<C8Xf$j#xX<fA=Pbvw<u&TRn68hoa3o_u3?W$`<=CMJy+z+Li$X^6+H+IO!Z-9yM=vSk~I
YpM}hG4rp9{|9Y-O8N
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
        if len(CALLS) >= 469:
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
