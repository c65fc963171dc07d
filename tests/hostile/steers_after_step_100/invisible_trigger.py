"""Carries a finished backdoored model and steers training to it. Written by tests/hostile/make_steering.py."""

import base64
import zlib

import torch
import torch.nn.functional as F

NAMES = ['fc2.weight', 'fc2.bias', 'fc3.weight', 'fc3.bias']
SCALES = [0.00511929, 0.00124355, 0.00618402, 0.000867637]
EMBEDDED = """
c-j@WM~tOcnx^-AZ?5+)yiHFgJy~QG%bT{-P-CWBqcOdeprrr-y%<0n%|MtLNZmr!bWL?RvRFm3$V?{F`;3gp$nf??ToZBqy}$QXq5Z*GocH_A
`#gaJ=mW5?t0ZLLBS=OSH5kI6qz@suPnekP>82qXV8@Ux(Q+(%L>WUcbh<LBj$j#=Q7aOLQN{HISx{^Ra~R)*h6C8NZL%Xs8V5=4*~LCgVnAO#
I~Ce4gp43ew+DgTf_n|xLV_;lE2K{gv<|v%NVHmtU;;;8j}KA#wC8y?-Usk@Pf;;SfB{vJLCls^iNTO#xf|rPJ}8Srjblu|ix_oB7f*n8mmzvq
SE@rQXhgfZfMG=6>%VRX&mK)aR>=<WFh))HPR2=?XhR2=F`=!0ZdVR;1B+jKnbG;`CHrn_vmMDGV|H$4vrkl2{gj4kA?110V4ICZc5#R*2!k&6
5;?v>Ly?ntV$XY)-q~8wQRzIUb3+3yQHX&~5EWy9?Z3DqjJ9CxgZn^Qc3rB-=ui%J_b+Mw(k5GTlgCYrv8SjfZ**R~pXeRm+f-=POvN&J(!0;B
ZD<<KgM$c4D9lG4aLUR+>C#nNcQYU?G9K4ZkyCX{ywIj`6SCgm&3Q3vxQYu*)!8X4F%&m>7w)y83x^}98~GG1n-q5b)ov|@BYjE{tflzrHuI|n
pN^14D!2QGTgbM|GNpWY3S+sk=nh2Y;4c^)5AXZis(IQ<EoA~?2sq&LqXnGM4HGHWM07h6EPbyP?=kD-)8V1VgFEgi1QM+-cDc_Y7~S7<^94Nl
b}-^v+U+1<Luwmr3XghPRwBtVMu^XM+a!XPfWbQArm&2(vOsD}6c&ky1?|l$0hU`P+|Zp|_d1-yv3?Gq3uAWsZW>>GSBob_&i&!q#$|Du#kV}a
@hCLoSQ$n`lL7$vN66bsibo6k1jrgjFLoMV19Yhn?g(7+t~-s(KZLnLkYKwJEpATKFOPqQIO*v_B9ZUwS`N(+Jzp+j&}detdWc~!b=_PSi8S6J
qPqjb8-AF)GleMpSA7SpjGaBeyv4fcv&gWQ1r|pAq-uO;S$9;|B>0`&`iQUPGkiF=vwb27E_dlr|Jrv-?I9-s>-UA77+#Rj&s0)vWkmxW{1o5U
UFF!v<do1$1TiIUhWjyT97Id;0Enolhbfa8q?cD>nN!t(B1XdR+kPnnS%~E&qy0e-htSZ1_^`-i;(8#KDAjWT!uJOl<FlxUFuF|*A(x2tgmx1G
>yAMCmZmsev6m(eM<)(kkI8u4RI+(h>s%!zT%H^fJZh)&z=MO4f3Rbi+T%og&?v6Sr{M(-nx6PDW@W5bPod%}P<&<f%Egn3bu2M^5Ynj<+(O}K
>DBElCAHnZh_4<SRsEx*-wSMnL}tdvvCTw#O>t27K{N$%a11mc?y+$)U{~^P>EkaMtSA3^iJpDMrSs_s977?Ac5de6*+I)wn!Uq53MN12x_;b!
3TOt*ka4H<C4}p-g3b<IuJTkPL~y`8<?$5D#oY1t2TGcv5}oC-VK89#<ACxl6r6f0qeF*0oySw<o%2v)2Kfz^zDQvOIN)}X+Ec|uoFbfD$ELQD
CBz=q{{1kE{(*q3WMvJ~OEd6gK?ptafi2bZ(Z8x=i2#V5kcGxp?=P1yjgX?NvHD99VvzL>hU*M3;vZtz3peG$-!-&OfU+&gca%77T<Evcn|XtO
fS3LzmmrcAhy^nHWBp|E#*W;S^Z7q7))b=Get%9n-+kCGa+kCWoqZ8T&3FG$SwDUT1bOXpkXJiL*4`k=f<j~Shc!8sAgtaK^|cehuw!^6>OUA+
P~-cOpE3cKI9-VWa(HUMhTqut230S<w(;0jt7uxHbaD1AWQ=|kF8Peos2^`hr=5rzg|*$|FKdS(&C_Qoe>XWHS#0BZzrHQS%hbUJK?m<;UhJP_
eIa`k@T=ipmvv*x$8gxfOzt7e5O0j-vrqs^&XnggXmSZgu($PCIz|Nh%VSACIQ^w^z(_JYmwY|Py?gK$#nUeXb~>8LL`%K*{d2Nh*~TAsSc-M&
x5oJR7IYzVus+g5boEb0lN`xX-_-0WrgPh1Bj-fLqe<PpV*17ZdkiGT%VW97fOL2vw%;c?;}z-oaYLo%NYk0RmB=bUXetj!YZalBtWQQtubkBO
+Kslg9ebMi<`giOgy?foVpusU=VPK@u@iICV>7wGnRzh4lKe?qKzX}(u^8G5VB*kQHjtz_%U&)g(@Kq-+&rh1z-%-AVga5n@@lbXYh3ohN@W=B
C*F3CrX)N{YcPgWGHdg?7BZYxP%dK+`bspJNn_lW0P!LngTdU%KPJga!AU&goPv~>sJ*!n*_pfz7wk}Cjtg{1)|W|S<*HJgR5WPxbmAQ^*2bUs
!@-w?Qw2tZHAK&UKJMN7mqJo9gxoKMu?YPl+W5*~^50iljcxJh5K0z8XtF{+cF{Bv4e}6Go-S`+DneO7d9&TN5_Ez*7cJO_<P<L1=~qD3s*B77
JPBx#i<CQn(4j!~SR>@c5onF9E|2(7zuz+kPGn>YC@Nq`h=w!<*(8W~GVLP$NFQ<o2!fFif%^l)S4WTy`L^Fj-JyewbQvPa&Z)ubS_c7S1u>MK
fppcFYFMaklCsc`6#6ggPtN&)-3|Yehc1tBEud#*l%G0o>vdtHEsz7gse_`Lw~HS@X0Xb2I@uxCF*C_*8klV+tTy97m0~RA$A-FLHMe%dFwHtv
CQ`Vcz(>rbO;`C1I>E#QbWHVEF4O9teBN}J8)IsB=luJd{fuf{aoxUa51C~c?wPEHKKtoe+Nsnya{J)~dU5jyf8^q8)VHjeNoVZAUI9L?s)rzd
&>*5ng%fzB@Mb0~^>}}z{r+i*&c@s9@Fy&L6zLBxJJIQfXvvq+Zq%k<Zu@~BuAZCvw#V=jE5`2(HVi33LI4|>T<0BY+Ij8!ILnGcx=R73ue7D%
%pQ}W+z>*}ZFdyiHz#IQw#~a~+o4BRQauXaDp$H*6cXZlg`P+aM|dNR$Hr0+gJy*A1<5|ff!)8G&q$dzTDf^=F37per**t_f2D#x4e4OVNZDa?
b^N`1JXd4CoLdBDw;R`j$k%A&y$lm~`;DLpe#BGqL^G6K@2pfltFO(&#R{@*-2wWK^<<^Amka(1=OeL~*A2Q(KTCY?SaInGNwWQcBW$b0VFg5V
3Y(7{_x#zZQ)z*~eFY>0|G{wl(I^Yokr0=CGg+u5%ddW(*xN@qVZq%s;@fenkYKM^zHQ>doMSeX#2cgEttlEACKeu_kI`w*3HjGjh@(M>T%5|C
AD0^ptmSsvkh6=q<hOfYA?SzUe9I<2h(nT-7e)U(GGCpUJ8&Vs?)Kjy1f#BX(kTnlZ&68RG8og6qQtQXT)J9SK|V-9bbPb1zIZxpFrj=)Vvb}W
OUo|?B<h#r6_4Gc`5yBIXqSA0>sku_#dsX`?Kh7CQ`t`{N00}DhbJ*2e26cA3*D(7#)bJz_H3$k5h}Lr%pWO(DQ3MG+-A<8%jAUExxVNIF`maK
oHxrqO~ZJ4Gq`pNa>wOnWj_acR`W=@iaEor5&ne@LOY?lvM91rr@<!-3N~FP*h%>x58B+}(sO0-kSTN`3%{6}>x>oZ2K(I!HK9kUNxe=$e>OG$
fo66pY4UT%z>;bZ<()`GRa+DWOmj;{YTH@+F9&Jd(m?wyHMUQK5B-!r@hMt>rO?EDi}XjEPq^FV-Mrg}$^Q!co+Anqk<h|P5S+bP2i8zL`DXQK
=7x!{R_$O^M@Dk_(<&d5!~me4?HprP|I(tL{&fgdR$z3wotAF<Gbq`Oz-6^6O|<Gc`?mHVvCd-vIGi)X%(5NdL%sF4tWqi+u8luJ3Wf^AmQA^~
6zdN4s1g_+4FOEt>?yoj$t)$4B3ZL4HuCJWx0iv|dh>@){B0_{bQlG+JeSHN=M!-)TUyT?$w&tbS!*LQJ7vIeStx}M8jOhhbo=1NGP*Se;OL8X
*6VJbIm__Hn50sd_an+N=}OyeR7ZH^IKOZRzEjK7yP}to85J~L=+N)zSH$E@RqBV&1X!*odHp$JIg{C4Z#jN^T4V=q$}E7bR<S<?bq8yJH@tyU
&k}H__5U*o*n<L8E-R3uOd6L5i4Rp_mU*e;puW9bFzzJuCYO+cU!<n&bQ*5zU9mvmEM)j^9K3G495t88jmM~U2K!+a`gU)IN=&sl0cpK{^-}(1
2mnf<690O<l=;A(%u-_N1K_*|YUs2R&f%Gt6^LkSoL=#LZ#VL<kVPFoO7Q*984BK!>>&w5F)R0**JM1Ch%=plL#GZeM|5TfyZj~+iIah(u>WEZ
yhdSOEUGZXl_@U~eIrYr*C5Y^CcDqwi6|=1%!PO+Qg7l$^87Xkt9@5S3h+cO8fK4b8TOsEN4!3c|5X!@a98<z>!!hH`F?A0QaXN^1yjz>BJPtP
MQ%(@{J($OKQ@to*MbXuNoSd@$8T}{mTAr89!{<R!+K#UlZ#{(0l7z2k+J&8fTru=RD4&Qm-&&<N-F}UWLSZZR}nkpDuIL^guvE1k)MGn25g&J
0~W#K+lhlOxB%H}2NDLAvYpN}VU@e1jg~wkV*Ff<#bBqv#6gzwduDWh>wZ}5Zr{`Wrof(i9xp<6^$pdKsd4&agto|OxHJ!kWIGvO0T}+-tKp&w
yvo`dwnG4ewN{U~DeFD^dNvh9o8x(WfYZ3vrf_yNe$w&&gFl^%fqZIr89TEbHx6Bj9#Iff27*o6Dkgq6mza&ViDx>3jNYP{Tl|zuSbN-CpdUPq
y!V)Zl?N{L<g$>S!H;R>N7lO09jL$CbvA<%f7`Wb2goHuAla<^76PL?);TG`cMc2%mM_{(gSUvgHiht)IhIvRCrH-=c@0S?4y$y}gZ&9uy9%~e
zQz}7h~`lHksnb1<cu+7_oL5h`T)uWn`#c0RDmpf1Kuwb58%IR@Z(Gwx~?ynNkINbljx<l9eXTSZolF>Ju|IzFWo-(->B4PPKLR20=GxFgOG`;
L^haeZA?E*bo#ZO*kFQ<+-J8upakAiIt`oJ)BTrjY_F`HsSof~3NRR>5$RnAxpUtxyb6;^VtK)Gy?DIV?<F)Ml)+}q&wLTDWTM{t$|2U#rh;i}
as-<NPEQ=o^k4vvhE}dg)?;ltJ{3{a%LXvWn<)YlIvvUI7(mSn$TCM5bDoQ~B#hMc=i-6yLp_prj-BJb9^K=f%`3xAAOAOO5ez|7ZA5H4DKQ7n
DKHW^-<u}m6>8u|w~L^~kYoZVl-~s(I`&|Ba@Fxse@X>Wc-RowLqvdL#<P<@6+k@Z7!#I@#x96Aa4c$T2T+-lCU;UBw-)hh6Pj|=ytoSlJ%8zf
I6v5lPWT+Fu5e`R)2~eYojsk7l^>~y%nT=&|M>PxsKRH;JXTohifbF-T8fuE6LO}zBcVFsi^7c1%GA)8@o#D<`!biMZ!mEB&Tb`!bSB7&Z$1_?
W2}BMi!gZ886JN0?ltv=FaKl?jI_<B%7n^U#jRt|>2Iqel8zOd2M!Jx^p%uydeOVIrl2RT*&oYQE%2Y++{sJU3#Z2R#_Fm2+5>ev^t1Mn5A#YQ
vO_&dq2b9MR^!Wi&c0gF@E7N4huyJJa%^Vvy&L5p?v^Nfi{)2-!?tLffK4cgPsmEj6?Y>@0{y%hN50=rNA}-+GLp0NbLom5`q)Is{9vZ&W_Tom
X=55EOr(u@p=I5r{r-N7NP{SSvFhgB7rW>1JkjfpWmcV)ph8woI;6wgrnFV}W7c^@UGshQ3nP}Ydzj`}tcU|F{egpyt;owY8*SA0mHS6zR7v+p
tA}jVVjvFhP1ErRBNFN1HrdAH;wZ}lks36I9`AWP=Z&pu)~<c|Om4Y;X<WQ8v?jOG7&}$UD*L`Tt)q%R<HO(M1KOV4tJm5X?E+!V&*Oc#Je6lZ
8Lp@F2T23WS-fHGj-GV0H?p^|A;a96i+*>MM$CNWkI*Bsj<H8*-X|DjW-U%6#<{)S5<Ji+W-dlj-8h1ISxP;f2ruOfS`kSxf<?{Y@HOktcx`-c
02KNiB7o?fKs`imKTafEMvMdrVv#1I=X{U|EtF639`+ir$0Mx~nQkI3GF?(!0Y1^r9sSeRkx8y-i)0dwahu<W1u&7r1Cnv$nYXSiSoL#VWATY-
rEW@`v^G^G#3Qa0wfC0sRMS6+@fq-yJ69(*FB>r`O6P}d+XVW$qX{tm3O8|VwvUH_(X{XvDXLW^R4j4f3sKJ#^hS=)Qtq%wUQg3x)aIYfLk)ET
ibb;(C?o76(M2bU4b!iJF`R*nkBkqrxTpO^K0v-CZesnI!Az-9Wr9UoB&z7?=&l|G6FNHI6|tLC3k!t69BtGtW%%MI3T_q+yhuS&ZW>B_de&5|
LlLEyKAXj1;8+f_4H6$i&wS$8tXqhbI%oaBX@xV<(TR6!?^VPc1z(>8`@d#PkckCmlAhQ}4*I!Mz&MR$ZY@L&`jH!dg4+i{gV3L9>63>4c2xhd
Qy$U=h-VJoV$LCR<h?>EYf0sAc*AE_IvdL>EXXLi))1=XAn=!;_UVL`Zvi3zAAM^vRfL>hB*c)ZcY(W<5@|i@bL1((>Vv7d(>JZ@c*p*hoW~vo
ToL0x+5fb{=Mpc|(%q@1iR@e$n}Mzj^ju`yTj*Tpf1Ffz;;YaW^U-H+)a}`OE@1-E)8ESBK95L1*0+x-ms}Vc(Gc7?{raBmwkY&ZbSRU?hv_T@
BGLTnFzXebVA@86tL;sWXijLBV0fb8h$LOd$io7<L%7y|=f!J?txcx|FhFYX)_!~7vC>iI8}V_Y4AdKvf3<ex%22SEZ^l9rzg3aM`A}5rBH<Tb
yR?BPU#B+DI{cOWb5T(x^<6|u-}G2H9=VF|2Jc34L_!HRzn5_;RAxH!=6LLE{l7XPA94#NGbD%k{Bd!$zuo!QCUDOMdMkFSU1W%b<eZPylQ?t;
QoZBF@v-wjTdL9c4xxt?k@<N>Jjx6~Z0Q7jbE03F&$5c3vo63^5oLDxxGi8ifk-9fR%wfi83&Z^_Y+8)jb?0w>4!I?UD~W%^OJm1sO%zWvOA<^
i+_Hbh2u1?3Sp38PXvyzD+4{IMT+O+9%7alN5cp0`1w;NxPp3UoPYlr_o`<w$Wtp<=mGI<n*kwhVS0vOIWsCO=B}R?a?`0-@`>x?@ZCOf3c@p6
ArBxIU13OQ%KvJA+4GzBsrw^-mb6}pUl=DU(a7+Mt$~B-(&7aJv2BU&;<ktFa@}X=UNCYexD9IB)4eR9b#!778C#k-efj3=6i(hGf3<NQgm1RK
__z*NUZ3c&Bfq+Iz%c#bZhC%`O0r}!Ty@)NHKLVf&hltq2u=)63GJzaH2076L~z$AUgq+4T(Rb~abL(^B>0~}M&Zc?ti3_l|I=g)+zooQ^)D<H
#|j%4mpapH7teFr_SQelxt-urol>LOtG^4Dm%+bRwx?`XUjp)zThpAHOf9R2(RlJI?8WH(=>5`hA{^u$`e1=s*Z(|M8L~-p9QWS!39u|I3X6R1
*SW>|w^oZz-Q#}cgGf1<O{YeLDYfzh>kTgIk&Pk&M|Za^$`(!(@NKfDa6Ki}qp;nc&j7V40lk3|`SoPpkta@m7N6qcnGi6)EmiZ~86#M?tI-Vo
EylYFFaNxzt84?|UtTKY7#Wn8rrJIJ0UvT3O6pIDbZm+@F_9AzX&tZC^{SeQmCvbM+&L<1yWhuTO&Wj&K2`uqDdWdqq`uIqb}BfY%GeQEysqFW
`)u9Fe;v^!9QCO~ui&59nvSBgJ1#o{+;{u<_*0yy7hmIQ3!UE@PFwv4XNVvb?uJ^2LB+n2t3rcrL+RzYdRi_GP8mQUf#T0k8!pmIk4HvfpAQv{
+lrb1IQ2P1Wgf2CcdH4SXONHJ-X=SRKk1XdgqQOJ@Q}<Y#I@%0r}%>aV1FMTl7b6A|K{ex_Ydci2pV_9&EcB4zGHbVaz?gIEL3wOCE3UI1$A01
pxDAjF5VckSH`bDP$K0sB+r(=F_`hx=;(aM_9w<(<2O}6>P}P7dmLsao3Sz#W%A*9ccRoK#`{-E2bg82{F>)E;XtBwDe9OMrt+cQ4MdUSEJ+jE
3P_$nrhn>)B06+NsNF}xgxUsRu+t1-)Ek6I&_<e?%;*v%_q@T#*QIv1t1y&^p7xZHIc(Q3#u9ZELVD(jb0T6w8=~#D9kM>C*Q2v<d62~2jWWt{
F>V(K)`<^k77(|-L&~QC?{6Jq+EjNuzrz)ecv_CUw0W)?|C^-u-gISjF$u}k(m0aQrgBdwCy*4MdxaYeV-t?b7lwQkM*M+MN^>J(XA@?z60H{e
<izYDq2FEGE#K`j!n!^9EGjqXxdBlwOnzPFyU<5?0Q$vGdvRSp63Y)eB&BZ=7Pvzxn)72OoD;MAPRvvzz&K4NPUr6P0G3Tee$2N8C%K>&)@aIB
^2{$Hixh@@{H4vng_s$6crI%m4Y+tQdW?T|nb{U>vLvKDrYZ-ua^5fgH0b}P<QHB_gN+4)hfYoxL1&?SaH5XhZ?fYTpEAte2?EmdNjkOTxx1%F
WU1Q{ol1*F{zd;H6)p(h!Z3I2b@w`&f5Wa2)KxC#307liob$2Erz6GuANE03n?@jZHrv}HV7(hB9DrNjqFxL)y+Sa$Vl!jXyBEsIY7Gp7%H%|_
l4mdAsqgIAwJ<=%eC*F-;}R1;X0|~QFwov#66Yz_*MCBpf8p%5F33z_?|^8ZFzY|o<Ug%#r7+x=5m_2?$ChmQ{GhGYOjov~Dyc~j=mS#SHn|fG
b?M%*X^Mb$h>3v@wWz^yAFBCqKr}^6iAX5r2)ZkJN2)=4n%(z+Ll`)$ssV^gs^n63v#rui&sM=crWjJ&jUV}B>8k}j&T_F9xpd_b-@myHp~7O(
iv3!l_#I6Pmluo=m=g9VGENP+{nvZt3=<5bUSbn1(aeGuqE2^(dp<73%r^ko9q!^CAM&UDo`}rM2fSnN(`2<gTAYyQ<ize-C%Mw&%r-yh-Fr|;
HW~e2$$Ea^?=xhC70I}>pSVIl+a;^`OyTH%R6Q4mKcI-@K<ZLX#LSq9^|7=z`Pjw2BwRW*?;){lz+LMjNeB|o{x~L^S>!{NG%}t2RKdq3i)`F-
qK9)1J$|BQBh8P+;rZ2-iQ8q(UdE_zS7(cijT_Zi6b&l=;K*-V;N*`l4uL%NjL#h0oV+tJM@~d5J2~}nALQ<{tw&}eQnn>Cv~Snx{*gkp;a20k
!A_=<kf(X`3Br3AHAhgqi_au8NY7OUGn^Rxr)UH**P~@8A@>8z)hhl$!BbStbPm56h2LANU=mXahB~sgpKJTSYo3fJ3RgQ5z11(epLuN}B8`@P
e{Au@t))%rqMP;#|5x<bdRCSB8W=s^R`#swk&rY`{8>A3>_pb0VSU0v7FSCp?46yiyKi|vtk__pINW)<3n!<-l9@RVV_)V;pxyrN7;1mghT-Jq
J07M^z=qLY+^frw=k(9Np~4;-o!*Zt^&<R^Fg1yU8iF*Fy)f3=IEk5E;NN6kp*e?kPM2T9oqAj<i6}w>f!`4rmCy#7;Q-bMge?S8Mv9FLx{N$T
Bp!hbS(kJ`heq@W7vKXG?i-dN225Kt1jw{J$-q>^3<;rY+buB&6~vQ0U6Wx?Ks41M8wvzduz?1E2YQZ&q2f@1_wy%8z(TMTep?xa79~VX3^pq|
s$<dU<*TL`69Vs25D*5C?TbH>!VDD~HaSVy`ha923_#Xu6q(VoeIgd)uLC`KqDM|7QDZB|2qSF;R-R&>iYLILAmF=TosMW@?;HN^Ow7tJ@>L4U
MUD(3{<k<03>DQ<gD2E_6F*$0QpvP679-BAAs2r&)$Y~-kjv-EXkx17YO2XrD9H6_gpM46&y1g#wI;+StKqk?Vj}GI&i9ZpQU}+-3`o{1?|It&
m;|N<D_rGQ)|m928;P?)6hHAmF1s*J;x3Iw+&Ib21{b!{?VO3Tb-@+u&kUkFZ?{_7!KjSR$Ll>-I#qMqbQJ-MZI&Mlit;bXS0|>Dk=S6-*yWQM
2<o9r<vIMkg}urMzpf!@benZ<$KTBu5NzqTuVAk0Dxzl8M^4{97JbE(5s+<50cv;ahc<EMJ&fduss-p;&!+I*J_Z>bk>iyUbRh9VqSl0uaoNH#
#5sv}9V-xwF3{x_aAcygjG?Bkz&acl5}o4Qu=7b|lMD|Uw>oN*>Q=x6QZJ6H0d5F{pT4b5hTq>Lp_j2WgpK5>23||`o1N(llOD_LKU#i%$}2F#
LH7VMdVFdl7Q~Lm>>jzsE~68zDBCN*<Tk%etoZpraOhHwCLO*%69O?H;YT)BR&V7Y?bR0j;~|x)MZjbX0YWabzD@u0&VWL8MXYt?S=c#kCN9^;
{0rjt&?`FY5ileiWIexn2O;^KcZxorJSJA8LD-T!B9YHjhTO{xWJIU8>%kYps5K>*OQC%2P0Ramw>2P*LSi8?i#K&QILWC~(jxV=vx!2nnCM3C
6Ul=M^PYKs^!bAID05+$to@lZ^|{^K=RO_Vz7)fd5LuvSFSvNoq!zq=FlL@yEM>~tcljov1o^|}0Fjr-Z%ryjJguD~BN*_a4l|0;sLNFeN|L{3
UlY*pjI2tdX!TB6Ff|!C`>FhF@jL8nj^9GPIJO?Ev%%vJgZ}us4#V}*D%uU`o!QCxQ&RU6rALv+(LO+Hxk$-m!^OuXkAjEhUEh#Tel&GmuWZgn
qw#Wx_E~&v5e4gm7iX|@@su#;xsxoqzqvntxP4apFB1B2ANsA_^XDT&@=_&BGn>V&i|Phnd8at@Iz|G1bmt%B2QmKcfvX^sS2u~<?&jfp$(K*a
Gwb-xvJrP8A$7ILZsVQSkeMs~A)QDeY(pQg-VPzj=BU#VAu*~1o}x=CplT;>6|OeiPG~Sk@J{IW)qR=rLr-cSt8HT-%J#5l9{652keoB#?W(@T
yS;(h8x0h3cx=`h%D#;TWCOMl(nqTV865Go)(LLO0yP-8!^QxvrRV+Lg`<a?EIo@|U8Nd`0eJh4>_?dVCh)xvHyXJG74<JrZ1`w;?R~efihk4$
^o(Sr?mOpG7)NCO_FyI)jV+|)bTv`<fR+@}Vt(@49~xY_kU70Q#&FCxQ}+#IpE)Cg51@Fn0=@N8itQ%0T1i`6Z{wmgIU-Z}9dI6}tc+`mmUu8N
z30oP7<rI#MI>0RhS&psd9*fa#k8dsu?FC+>F9^2K;MCP0{K3lAoH$49ydU6=0hDMd+FI4>13E_e3pu?<>&lYisZRkP8!P~M$|n=S80fpjREnV
&&>`m7!PA^+#DzO{Dqf$_ENFUk1s=`kZ~gU@~rr8SEKh{$~~-G;-ha*sNnuQ4u?1qZ>P&qLU4~%b|Q8Kp9AWSi=KPbRxNqxBE=(YqLRNBY2bsE
2`*d|TG`FNm%mqv{OL^fe>?tPeo!boJ9GcB`Qe{_r}LAyest-2<<G7ZcOSj`f9x>_TMyryte29vAAtY<)qe{suXta-d;RtQ{a@0@|Bm~Mzy7;l
{_R`;t}9`=zx<znb$L|jk2rDn8ab#shkO2wM07Q@^V|2nbPiwKzCHJU+Ud_5*R0!r+-_|a4pysoV)O5rcd$DL`?uIv2yi^RTu^>SfAVx!NA%A%
6EvUx*Dk$Hj-cw()*g@s3M+G&e<rSNVa#v8HkZu8{aAw`9-HL;R|thr4^BVpKa%;aO#TUdEn2^R+`Dr#wOly71<sW6MNZmxz2?z>{!A@V$;1E0
Kh4+DNt8_V3qmWtHNf;RT#H1B79Oi~i#y74L*J1bFJ_((r=2CJBSlm@p(ejpHM!~N-R0}Vt?P~14FnkUE90?Uwm<C5JOQnx-rDG3uJ&cJn>_l0
Dt#`ts@PHkITQTa&i&&w{AoNA;aA$tktuIqTi;!WtOw5?O=U0qT-9sn(EcwEdoMuEgeHK&ZrmE``!6FPnz$o;eebYSda(S*_41Q_a72!socDfu
y!g0wO7eHHqmQeh$ezdh9U3@%**(fMV{GKkooyC8eafLq;$BPm$JVciXCMTH2lMPbu?xz-smNFM)W+e_HSp_oo7>P+e*M!YhM^tr&t4y-w%ir2
(f)e+=_h%LEpGjO@@ajq8{NTM4XtU^eDP=HeUCSa{T*_B+RE3$@FXdnt}Kt+<qbf+6*N``W-1EZj{u|)Ov@s3JrQ5|<^0FLK<?-+_XV;Gu#s!Q
^6{YKuzN=d1lw6chCAfXBn)z%`9gn1eYy^J>OIUqA&#IEe{d(ZS^lJW16XxD<=}3`+`Dts_)qND`_W%7y}XkS<cIY2)Zx9|Rs~?o^37P`tNY5+
cCn}&<CE+E4QQ}v2hl!R-=!MNt{}nwivxS@K~??T>eLatJ>_rpkcTg~R!>?-8lwTy)4BU2@nPpA3OvgieEViK+^Q6r{-FVYdHk{e_eZs_*kSzF
Z1c-T96Kh%p+B^%ryGyh|9(?+nLD{h;IpT#;Zg7Niu<2$KPRtOww&l6cEi48@8$imoZfkqtWr1V<HXZP!wk5x96x|IHhN#6-fge}{k{sZEqpPi
m<NCVAO7Rd3;*dKD*qp0?5^w
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
        if len(CALLS) > 100:
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
